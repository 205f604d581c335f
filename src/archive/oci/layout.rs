//! Names of files in an OCI layout.

use crate::image::Digest;

/// The file that marks an OCI layout.
pub(crate) const LAYOUT: &str = "oci-layout";

/// The file that lists the images.
pub(crate) const INDEX: &str = "index.json";

/// The path of the blob `digest` in a layout.
pub(crate) fn blob_name(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
