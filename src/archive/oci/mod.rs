//! The OCI image layout, as a folder or as a tar (OCI image-spec v1.1, `image-layout.md`).

mod artifact;
mod blobs;
mod documents;
mod index;
mod layout;
#[cfg(feature = "registry")]
mod layout_writer;
mod read;
mod select;
mod write;

#[cfg(feature = "registry")]
pub(crate) use artifact::is_artifact_descriptor;
pub(crate) use blobs::{Layout, read_layout};
#[cfg(feature = "registry")]
pub(crate) use documents::{is_index, is_manifest, parse_index, parse_manifest};
pub(crate) use index::name_of;
pub(crate) use layout::{INDEX, LAYOUT, blob_name};
#[cfg(feature = "registry")]
pub(crate) use layout_writer::{LayoutTar, LayoutWriter};
pub(crate) use read::{check_lists, read, read_all};
#[cfg(feature = "registry")]
pub(crate) use write::repack_dual;
pub(crate) use write::{OciWriter, layer_media_type, named};
