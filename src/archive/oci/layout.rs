//! Names in an OCI layout.

use crate::image::Digest;

/// The path of the blob `digest` in a layout.
pub(super) fn blob_name(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
