//! The OCI image layout, as a folder or as a tar (OCI image-spec v1.1, `image-layout.md`).

mod artifact;
mod blobs;
mod documents;
mod index;
mod layout;
mod read;
mod select;
mod write;

pub(crate) use blobs::{Layout, read_layout};
pub(crate) use index::name_of;
pub(crate) use layout::{INDEX, LAYOUT, blob_name};
pub(crate) use read::{check_lists, read, read_all};
pub(crate) use write::{OciWriter, layer_media_type, named};
