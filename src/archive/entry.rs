//! An entry of a layer: path, metadata, and the location of its content.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::host::Filesystem;
use crate::image::Timestamp;
use crate::text;

/// Owner and modification time of entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Numeric user.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Name of the user, at most 31 bytes.
    pub uname: String,
    /// Name of the group, at most 31 bytes.
    pub gname: String,
    /// Modification time.
    pub mtime: Timestamp,
}

impl Default for Attributes {
    /// Owned by root, dated [`Timestamp::DEFAULT`].
    fn default() -> Self {
        let root = || "root".to_owned();
        Self { uid: 0, gid: 0, uname: root(), gname: root(), mtime: Timestamp::DEFAULT }
    }
}

/// An entry of a layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its path in the image, without a slash at either end.
    #[serde(with = "serde_bytes")]
    pub path: Box<[u8]>,
    /// The twelve permission bits.
    pub mode: u32,
    /// Its kind, with what belongs to that.
    pub kind: Kind,
    /// Its attributes, if they differ from the layer's.
    pub attributes: Option<Box<Attributes>>,
}

/// The kind of an [`Entry`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File(FileContent),
    /// A symbolic link to this target.
    Symlink(#[serde(with = "serde_bytes")] Box<[u8]>),
    /// A named pipe.
    Fifo,
    /// A character device, by major and minor number.
    CharDevice(u32, u32),
    /// A block device, by major and minor number.
    BlockDevice(u32, u32),
}

impl Kind {
    /// The kind as a noun, for messages.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Directory => "a directory",
            Self::File(_) => "a file",
            Self::Symlink(_) => "a symlink",
            Self::Fifo => "a named pipe",
            Self::CharDevice(..) | Self::BlockDevice(..) => "a device",
        }
    }
}

/// The location of a regular file's content on this host, and its metadata when it was listed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileContent {
    /// The folder with the file; shared by all entries of that folder. The file has the entry's
    /// name.
    #[serde(serialize_with = "path_bytes", deserialize_with = "shared_path")]
    pub folder: Arc<Path>,
    /// Size in bytes.
    pub size: u64,
    /// Modification time, in seconds and nanoseconds.
    pub modified: (i64, u32),
    /// Time of the last change of content or metadata, in seconds and nanoseconds.
    pub changed: (i64, u32),
    /// Inode number.
    pub inode: u64,
    /// The filesystem; the default if it is not known.
    pub(crate) filesystem: Filesystem,
}

impl FileContent {
    /// The content of a file in `folder` with `metadata`, on a filesystem that is not known. Layers
    /// with such files are not cached.
    pub fn new(folder: Arc<Path>, metadata: &Metadata) -> Self {
        Self {
            folder,
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec() as u32),
            changed: (metadata.ctime(), metadata.ctime_nsec() as u32),
            inode: metadata.ino(),
            filesystem: Filesystem::default(),
        }
    }
}

/// Serializes a path as bytes: serde's own format for paths fails if one is not UTF-8.
fn path_bytes<S: Serializer>(path: &Arc<Path>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(path.as_os_str().as_bytes())
}

fn shared_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Path>, D::Error> {
    let bytes: &[u8] = serde_bytes::deserialize(deserializer)?;
    Ok(Path::new(OsStr::from_bytes(bytes)).into())
}

impl Entry {
    /// The last component of its path.
    pub fn name(&self) -> &[u8] {
        name_of(&self.path)
    }

    /// The file on this host with its content, if it is a regular file.
    pub fn source(&self) -> Option<PathBuf> {
        match &self.kind {
            Kind::File(content) => Some(content.folder.join(OsStr::from_bytes(self.name()))),
            _ => None,
        }
    }
}

/// The last component of `path`.
pub fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or(path)
}

/// The path of the directory that contains `path`; empty for the root.
pub fn parent_of(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
    &path[..end]
}

/// `path` followed by `name`.
pub fn join(path: &[u8], name: &[u8]) -> Box<[u8]> {
    if path.is_empty() { name.into() } else { [path, b"/", name].concat().into() }
}

/// The order of entries in a layer: by components, so that a directory comes right before its
/// contents.
pub fn path_order(a: &[u8], b: &[u8]) -> Ordering {
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    // First the path that ends here, then one whose component ends here.
    let rank = |path: &[u8]| match path.get(common) {
        None => 0,
        Some(b'/') => 1,
        Some(byte) => 2 + u16::from(*byte),
    };
    rank(a).cmp(&rank(b))
}

/// A path as text for messages, with a leading slash.
pub fn display_path(path: &[u8]) -> String {
    format!("/{}", text::bytes(path))
}
