//! The OCI image layout, as a folder or as a tar (OCI image-spec v1.1, `image-layout.md`).

mod read;
mod write;

pub(crate) use read::read;
pub use write::OciWriter;

use crate::image::Digest;

/// What an image that came as an OCI layout alone is said to be.
pub const FORMAT: &str = "OCI layout";

/// Where the blob with `digest` lies in a layout.
fn blob_name(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
