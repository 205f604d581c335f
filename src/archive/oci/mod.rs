//! The OCI image layout, as a folder or as a tar (OCI image-spec v1.1, `image-layout.md`).

mod layout;
mod read;
mod write;

pub(crate) use read::read;
pub(crate) use write::OciWriter;
