//! Names in an OCI layout.

use crate::image::Digest;

/// The format's name for messages.
pub const FORMAT: &str = "OCI layout";

/// The path of the blob `digest` in a layout.
pub(super) fn blob_name(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
