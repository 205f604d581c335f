//! The OCI image layout, as a folder or as a tar (OCI image-spec v1.1, `image-layout.md`).

mod artifact;
mod blobs;
mod documents;
mod index;
mod layout;
#[cfg(feature = "registry")]
mod layout_source;
#[cfg(feature = "registry")]
mod layout_writer;
#[cfg(feature = "registry")]
mod made_tree;
mod named;
mod platforms;
mod read;
#[cfg(feature = "registry")]
mod repack;
mod select;
#[cfg(feature = "registry")]
mod tree;
#[cfg(feature = "registry")]
mod tree_images;
mod write;

pub(crate) use blobs::{Layout, read_layout};
#[cfg(feature = "registry")]
pub(crate) use documents::{annotations, is_index, is_manifest, parse_index, parse_manifest};
pub(crate) use index::name_of;
#[cfg(feature = "registry")]
pub(crate) use layout::INDEX;
pub(crate) use layout::{LAYOUT, blob_name, write_index, write_start};
#[cfg(feature = "registry")]
pub(crate) use layout_source::LayoutSource;
#[cfg(feature = "registry")]
pub(crate) use layout_writer::{LayoutTar, LayoutWriter, copy_blob};
#[cfg(feature = "registry")]
pub(crate) use made_tree::made_tree;
pub(crate) use named::{layer_media_type, named};
pub(crate) use read::{check_lists, read, read_all};
#[cfg(feature = "registry")]
pub(crate) use repack::repack_dual;
#[cfg(feature = "registry")]
pub(crate) use tree::{BlobSource, ImageTree, TreeDocument, is_foreign, select_platform};
pub(crate) use write::OciWriter;
