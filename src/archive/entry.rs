//! An entry of a layer: path, metadata, and the location of its content.

use std::cmp::Ordering;
use std::collections::BTreeMap;
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

/// Extended attributes by full name, such as `user.comment`. No name contains `=` or NUL, and no
/// value is empty: PAX records cannot express either.
pub type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

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
    /// Its extended attributes.
    pub xattrs: Xattrs,
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
    /// Another name of the file at this path, which comes earlier in the same layer.
    HardLink(#[serde(with = "serde_bytes")] Box<[u8]>),
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
            Self::HardLink(_) => "a hard link",
            Self::Fifo => "a named pipe",
            Self::CharDevice(..) | Self::BlockDevice(..) => "a device",
        }
    }
}

/// The content of a regular file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FileContent {
    /// That of a file on this host.
    Host(HostFile),
    /// These bytes.
    Inline(#[serde(with = "serde_bytes")] Box<[u8]>),
    /// A range of one of the layer's tars.
    Part {
        /// The tar, as an index into the layer's list.
        tar: u32,
        /// The position of the first byte.
        offset: u64,
        /// The number of bytes.
        size: u64,
    },
}

/// A regular file on this host, and its metadata when it was listed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HostFile {
    /// The folder with the file; shared by all entries of that folder.
    #[serde(serialize_with = "path_bytes", deserialize_with = "shared_path")]
    pub folder: Arc<Path>,
    /// The file's name in that folder, if it differs from the entry's.
    #[serde(with = "serde_bytes")]
    pub name: Option<Box<[u8]>>,
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
    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Host(file) => file.size,
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Part { size, .. } => *size,
        }
    }
}

impl HostFile {
    /// A file in `folder` with `metadata` and the name of its entry, on a filesystem that is not
    /// known. Layers with such files are not cached.
    pub fn new(folder: Arc<Path>, metadata: &Metadata) -> Self {
        Self {
            folder,
            name: None,
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
    /// An entry with the layer's attributes and without extended attributes.
    pub fn new(path: impl Into<Box<[u8]>>, mode: u32, kind: Kind) -> Self {
        Self { path: path.into(), mode, kind, attributes: None, xattrs: Xattrs::new() }
    }

    /// The last component of its path.
    pub fn name(&self) -> &[u8] {
        name_of(&self.path)
    }

    /// The file on this host with its content, if there is one.
    pub fn source(&self) -> Option<PathBuf> {
        match &self.kind {
            Kind::File(FileContent::Host(file)) => Some(self.host_path(file)),
            _ => None,
        }
    }

    /// The path on this host of `file`, which has its content.
    pub(super) fn host_path(&self, file: &HostFile) -> PathBuf {
        let name = file.name.as_deref().unwrap_or_else(|| self.name());
        file.folder.join(OsStr::from_bytes(name))
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
