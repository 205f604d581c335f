//! What the layers of an image make of each other: the directories, links and files that a container of it
//! finds, with whiteouts applied (OCI image-spec, `layer.md`).
//!
//! Only what a layer laid over it must know is kept: what each path is, where links lead, and the metadata
//! of directories, which a layer that puts something into them has to repeat.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::entry::{Attributes, join, name_of, parent_of, shown};
use super::tar::{Member, MemberKind, Skip, TarReader};
use crate::image::Timestamp;

/// What a name that marks a removal begins with.
pub const WHITEOUT: &[u8] = b".wh.";
/// The name that marks a directory whose lower content is hidden.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What AUFS put its own files under.
const AUFS: &[u8] = b".wh..wh.";

/// How many symlinks one path may lead through (Linux stops at 40).
const LINKS_MAX: usize = 40;

/// A path of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory(Meta),
    /// A symlink to this target.
    Symlink(Box<[u8]>),
    /// A file, device or pipe.
    File,
}

/// The metadata of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The twelve permission bits.
    pub mode: u32,
    /// Numeric user.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Modification time.
    pub mtime: Timestamp,
}

impl Default for Meta {
    /// What engines give directories that a layer has no entry for.
    fn default() -> Self {
        Self { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp::DEFAULT }
    }
}

impl From<Meta> for Attributes {
    /// Numbers alone: the names behind them are the base image's.
    fn from(meta: Meta) -> Self {
        let (uname, gname) = (String::new(), String::new());
        Self { uid: meta.uid, gid: meta.gid, uname, gname, mtime: meta.mtime }
    }
}

/// What one layer says.
#[derive(Debug, Default)]
pub struct LayerTree {
    nodes: BTreeMap<Box<[u8]>, Node>,
    removed: BTreeSet<Box<[u8]>>,
    opaque: BTreeSet<Box<[u8]>>,
    /// How many entries the tar has.
    pub entries: usize,
}

impl LayerTree {
    /// Reads a layer's tar to its end.
    ///
    /// # Errors
    /// When it is broken, or has a name that no layer may have.
    pub fn read<R: Skip>(reader: &mut TarReader<R>) -> io::Result<Self> {
        let mut layer = Self::default();
        while let Some(member) = reader.next_member()? {
            layer.entries += 1;
            let path = clean(&member.path).ok_or_else(|| hostile("the name", &member.path))?;
            layer.add(path, member)?;
        }
        Ok(layer)
    }

    fn add(&mut self, path: Box<[u8]>, member: Member) -> io::Result<()> {
        let name = name_of(&path);
        if name == OPAQUE {
            self.opaque.insert(parent_of(&path).into());
        } else if name == WHITEOUT {
            return Err(hostile("a whiteout without a name,", &member.path));
        } else if name.starts_with(AUFS) {
            // AUFS's bookkeeping, which every engine passes over.
        } else if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            if matches!(hidden, b"." | b"..") {
                return Err(hostile("the whiteout", &member.path));
            }
            self.removed.insert(join(parent_of(&path), hidden));
        } else if !path.is_empty() {
            self.nodes.insert(path, node(member));
        }
        Ok(())
    }
}

fn node(member: Member) -> Node {
    match member.kind {
        MemberKind::Directory => Node::Directory(Meta {
            mode: member.mode,
            uid: member.uid,
            gid: member.gid,
            mtime: i64::try_from(member.mtime)
                .ok()
                .and_then(|s| Timestamp::from_seconds(s).ok())
                .unwrap_or(Timestamp::DEFAULT),
        }),
        MemberKind::Symlink => Node::Symlink(member.link.into()),
        MemberKind::File | MemberKind::HardLink | MemberKind::Special => Node::File,
    }
}

/// `path` without leading slashes, `.` and empty components; `None` for one that climbs or holds a NUL.
pub(super) fn clean(path: &[u8]) -> Option<Box<[u8]>> {
    let parts: Vec<&[u8]> =
        path.split(|b| *b == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    (!parts.contains(&&b".."[..]) && !path.contains(&0)).then(|| parts.join(&b'/').into())
}

fn hostile(what: &str, path: &[u8]) -> io::Error {
    let text =
        format!("{what} {:?} leads out of the image or to nothing", String::from_utf8_lossy(path));
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Where the directory `path` really lies, when `node_at` tells what a path is: every symlink on the way,
/// the last included, is followed within the image. What does not exist stays as it is named.
///
/// # Errors
/// When links lead in a circle, or a file is in the way.
pub fn resolve<'a>(
    path: &[u8],
    node_at: impl Fn(&[u8]) -> Option<&'a Node>,
) -> Result<Box<[u8]>, ResolveError> {
    let split = |path: &[u8]| -> Vec<Vec<u8>> {
        path.split(|b| *b == b'/').rev().map(<[u8]>::to_vec).collect()
    };
    let mut ahead = split(path);
    let mut at: Box<[u8]> = Box::default();
    let mut links = 0;
    while let Some(part) = ahead.pop() {
        match part.as_slice() {
            b"" | b"." => continue,
            b".." => {
                at = parent_of(&at).into();
                continue;
            }
            _ => {}
        }
        let next = join(&at, &part);
        match node_at(&next) {
            Some(Node::Symlink(target)) => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(ResolveError::Loop(path.into()));
                }
                if target.starts_with(b"/") {
                    at = Box::default();
                }
                ahead.extend(split(target));
            }
            Some(Node::File) => return Err(ResolveError::File(path.into(), next)),
            Some(Node::Directory(_)) | None => at = next,
        }
    }
    Ok(at)
}

/// What all layers of an image together show.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<Box<[u8]>, Node>,
}

/// A path that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Links lead in a circle.
    #[error("{} leads through more than {LINKS_MAX} symlinks of the base image", shown(.0))]
    Loop(Box<[u8]>),
    /// Something that is no directory stands in the way.
    #[error("{} lies below {}, which is a file in the base image", shown(.0), shown(.1))]
    File(Box<[u8]>, Box<[u8]>),
}

impl Tree {
    /// What the layers `layers`, bottom first, make of each other.
    pub fn of(layers: impl IntoIterator<Item = LayerTree>) -> Self {
        let mut tree = Self::default();
        layers.into_iter().for_each(|layer| tree.apply(layer));
        tree
    }

    /// Lays `layer` over what is there.
    pub fn apply(&mut self, layer: LayerTree) {
        for path in &layer.opaque {
            self.remove_below(path);
        }
        for path in &layer.removed {
            self.remove(path);
        }
        for (path, node) in layer.nodes {
            self.insert(path, node);
        }
    }

    /// What is at `path`, links in its parents not followed.
    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Whether nothing is there at all.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Puts `node` at `path`. Parents that are missing or are no directories become directories; what a
    /// file replaces goes with all below it.
    pub fn insert(&mut self, path: Box<[u8]>, node: Node) {
        let mut parent = parent_of(&path);
        while !parent.is_empty() && !matches!(self.nodes.get(parent), Some(Node::Directory(_))) {
            self.nodes.insert(parent.into(), Node::Directory(Meta::default()));
            parent = parent_of(parent);
        }
        if !matches!(node, Node::Directory(_)) {
            self.remove_below(&path);
        }
        self.nodes.insert(path, node);
    }

    fn remove(&mut self, path: &[u8]) {
        self.remove_below(path);
        self.nodes.remove(path);
    }

    fn remove_below(&mut self, path: &[u8]) {
        if path.is_empty() {
            return self.nodes.clear();
        }
        // Everything below `path` sorts from "path/" up to, not including, "path0".
        let (first, end) = ([path, b"/"].concat(), [path, b"0"].concat());
        let range = first.into_boxed_slice()..end.into_boxed_slice();
        let below: Vec<Box<[u8]>> = self.nodes.range(range).map(|(path, _)| path.clone()).collect();
        below.iter().for_each(|path| drop(self.nodes.remove(path)));
    }
}
