//! The OCI image layout, as a folder or as a tar (OCI image-spec v1.1, `image-layout.md`).

mod layout;
mod read;
mod write;

pub use layout::FORMAT;
pub(crate) use read::read;
pub use write::OciWriter;
