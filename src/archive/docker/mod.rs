//! The docker-archive, which `docker save` writes and `docker load` reads
//! (moby `image/spec`, "Combined Image JSON + Filesystem Changeset Format").

mod layout;
mod read;
mod write;

pub(crate) use layout::MANIFEST;
pub(crate) use read::{read, read_all};
#[cfg(any(feature = "registry", feature = "vm"))]
pub(crate) use write::repack;
#[cfg(feature = "vm")]
pub(crate) use write::repack_with_empty_layers;
pub(crate) use write::{DockerWriter, ListedImage, write_manifest};
