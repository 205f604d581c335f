//! Layers as GNU tar has to unpack them for overlayfs.
//!
//! The layer is read here, where hostile ones are found, and GNU tar gets one without links in the
//! way to other entries, and with overlayfs' marks instead of whiteouts.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use super::changes::{OverlayFormat, entry};
use super::owners::{ATTRIBUTE, Owner, Special};
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

/// The owners of unpacked files.
pub(crate) enum Owners<'a> {
    /// Those of the layer.
    #[cfg_attr(not(feature = "vm"), allow(dead_code, reason = "only VMs can set them"))]
    All,
    /// Those of a user namespace with these users and groups. Devices, which it cannot make, are
    /// left out.
    Of(&'a HasIds<'a>),
    /// Only root: attributes record other owners, or this list for what has no attributes. Devices
    /// are left out.
    Recorded(&'a mut Vec<Special>),
}

/// Writes the layer in `bytes` to `output`, and returns the size of its files in bytes.
pub(crate) fn write(
    bytes: &FileSlice,
    format: OverlayFormat,
    owners: Owners<'_>,
    output: &mut dyn Write,
) -> io::Result<u64> {
    let tree = LayerTree::read(&mut reader(bytes)?, &Limits::default())?;
    let skipped = BTreeSet::new();
    let mut writer = Writer { format, owners, tree: &tree, output, skipped, size: 0 };
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
    owners: Owners<'a>,
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
            if (is_device && !matches!(self.owners, Owners::All)) || self.skipped.contains(&target)
            {
                self.skipped.insert(path);
                continue;
            }
            let mut entry = entry(&path, &member, target, None);
            self.owner(&path, &member, &mut entry)?;
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

    /// Checks the owner of `member`, or records it and makes `entry` belong to root.
    fn owner(&mut self, path: &[u8], member: &Member, entry: &mut Entry) -> io::Result<()> {
        let (uid, gid) = (member.uid, member.gid);
        let too_high = |reason: &str| {
            let path = display_path(path);
            Err(io::Error::other(format!("{path} belongs to {uid}:{gid}, which is {reason}")))
        };
        let recorded = match &mut self.owners {
            Owners::All => return Ok(()),
            Owners::Of(ids) if ids(uid, gid) => return Ok(()),
            Owners::Of(_) => {
                return too_high(
                    "beyond the range of this user's IDs in /etc/subuid and /etc/subgid; make it \
                     longer",
                );
            }
            Owners::Recorded(recorded) => recorded,
        };
        let (Ok(uid), Ok(gid)) = (uid.try_into(), gid.try_into()) else {
            return too_high("more than 32 bits");
        };
        let owner = Owner { uid, gid };
        let mut mtime = 0;
        if let Some(attributes) = &mut entry.attributes {
            (attributes.uid, attributes.gid) = (0, 0);
            mtime = i64::try_from(attributes.mtime.seconds()).unwrap_or(i64::MAX);
        }
        match &entry.kind {
            Kind::File(_) | Kind::Directory if owner != Owner::ROOT => {
                let value = owner.to_string().into_bytes();
                entry.xattrs.insert(ATTRIBUTE.into(), value.into());
            }
            Kind::File(_) | Kind::Directory | Kind::HardLink(_) => {}
            kind => {
                let target = if let Kind::Symlink(target) = kind { target } else { &[][..] };
                recorded.push(Special { path: path.into(), target: target.into(), mtime, owner });
            }
        }
        Ok(())
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
