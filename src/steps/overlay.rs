//! Layers as GNU tar has to unpack them for overlayfs.
//!
//! The layer is read here, where hostile ones are found, and GNU tar gets one without links in the
//! way to other entries, and with overlayfs' marks instead of whiteouts.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use super::changes::{OverlayFormat, entry, kind};
use crate::archive::blob::FileSlice;
use crate::archive::decompress::{Codec, CountingReader};
use crate::archive::entry::{Attributes, Entry, Kind, display_path};
use crate::archive::header::{self, END, padding};
use crate::archive::layer_tree::LayerTree;
use crate::archive::limits::Limits;
use crate::archive::tar::{Member, MemberKind, SpecialKind, TarReader};
use crate::archive::tree::Node;

/// Whether there is a user and a group with these numbers.
pub(crate) type HasIds<'a> = dyn Fn(u64, u64) -> bool + 'a;

/// Writes the layer in `bytes` to `output`, and returns the size of its files in bytes. In a user
/// namespace, `ids` has its users and groups; devices, which it cannot make, are left out there.
pub(crate) fn write(
    bytes: &FileSlice,
    format: OverlayFormat,
    ids: Option<&HasIds<'_>>,
    output: &mut dyn Write,
) -> io::Result<u64> {
    let tree = LayerTree::read(&mut reader(bytes)?, &Limits::default())?;
    let mut writer = Writer { format, ids, tree: &tree, output, skipped: BTreeSet::new(), size: 0 };
    writer.write(reader(bytes)?)?;
    Ok(writer.size)
}

type LayerReader = TarReader<CountingReader<Box<dyn Read + Send>>>;

fn reader(bytes: &FileSlice) -> io::Result<LayerReader> {
    let codec = Codec::detect(bytes)?;
    Ok(TarReader::new(CountingReader::new(codec.decode(bytes.clone())?)))
}

/// Writes a layer for GNU tar.
struct Writer<'a> {
    format: OverlayFormat,
    ids: Option<&'a HasIds<'a>>,
    /// Everything that the layer has.
    tree: &'a LayerTree,
    output: &'a mut dyn Write,
    /// Devices that are left out.
    skipped: BTreeSet<Box<[u8]>>,
    size: u64,
}

impl Writer<'_> {
    fn write(&mut self, mut reader: LayerReader) -> io::Result<()> {
        self.whiteouts()?;
        let mut created = LayerTree::default();
        while let Some(member) = reader.next_member()? {
            let Some(path) = created.add(&member)? else { continue };
            let target = match member.kind {
                MemberKind::HardLink => created.link_target(&member)?,
                _ => Box::default(),
            };
            let is_device = matches!(
                member.kind,
                MemberKind::Special(SpecialKind::CharDevice(..) | SpecialKind::BlockDevice(..))
            );
            if (is_device && self.ids.is_some()) || self.skipped.contains(&target) {
                self.skipped.insert(path);
                continue;
            }
            self.check_owner(&path, &member)?;
            let mut entry = entry(&path, &member, kind(&member, target), None);
            if self.tree.is_opaque(&path) {
                entry.xattrs.insert(self.format.opaque().into(), b"y".as_slice().into());
            }
            self.header(&entry)?;
            let copied = io::copy(&mut reader, self.output)?;
            self.size += copied;
            self.output.write_all(&vec![0; padding(copied) as usize])?;
        }
        self.output.write_all(&END)?;
        self.output.flush()
    }

    /// Writes what hides paths of lower layers: devices for removed ones, and folders that the
    /// layer has no entry for.
    fn whiteouts(&mut self) -> io::Result<()> {
        for path in self.tree.removed() {
            if self.tree.get(path).is_none() {
                self.header(&Entry::new(path, 0, Kind::CharDevice(0, 0)))?;
            }
        }
        for path in self.tree.opaque() {
            let mut entry = Entry::new(path, 0o755, Kind::Directory);
            entry.xattrs.insert(self.format.opaque().into(), b"y".as_slice().into());
            if !path.is_empty() {
                self.header(&entry)?;
            }
        }
        Ok(())
    }

    fn header(&mut self, entry: &Entry) -> io::Result<()> {
        let mut header = Vec::new();
        header::encode(entry, &Attributes::default(), &mut header);
        self.output.write_all(&header)
    }

    fn check_owner(&self, path: &[u8], member: &Member) -> io::Result<()> {
        let (uid, gid) = (member.uid, member.gid);
        match self.ids {
            Some(ids) if !ids(uid, gid) => Err(io::Error::other(format!(
                "{} belongs to {uid}:{gid}, which is beyond the range of this user's IDs in \
                 /etc/subuid and /etc/subgid; make it longer",
                display_path(path)
            ))),
            _ => Ok(()),
        }
    }
}

impl LayerTree {
    /// Whether the folder at `path` replaces the folders of lower layers.
    fn is_opaque(&self, path: &[u8]) -> bool {
        let is_folder = matches!(self.get(path), Some(Node::Directory(_)));
        is_folder
            && (self.opaque().any(|opaque| opaque == path)
                || self.removed().any(|removed| removed == path))
    }
}
