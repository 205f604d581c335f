//! The OCI image layout, as a folder or as a tar (OCI image-spec v1.1, `image-layout.md`).

mod artifact;
mod documents;
mod index;
mod layout;
mod read;
mod select;
mod write;

pub(crate) use layout::LAYOUT;
pub(crate) use read::{check_lists, read};
pub(crate) use write::OciWriter;
