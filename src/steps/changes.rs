//! The changes that a step made, as a layer.
//!
//! Linux' overlayfs collects them in a folder, in which a character device 0/0 stands for a removed
//! path, and an extended attribute marks folders that replace the one below. GNU tar reads that
//! folder where its files can be read: in the step's namespace or VM. Here, its tar becomes a layer
//! (OCI image-spec, `layer.md`): entries in the same order, with whiteouts, and without everything
//! that depends on the time or the host.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use super::owners::{ATTRIBUTE, RecordedOwners};
use crate::archive::decompress::CountingReader;
use crate::archive::entry::{
    Attributes, Entry, FileContent, Kind, display_path, join, name_of, parent_of,
};
use crate::archive::header::{self, END, padding};
use crate::archive::layer_tree::{OPAQUE, WHITEOUT, normalize};
use crate::archive::tar::{CAPABILITIES, Member, MemberKind, SpecialKind, TarReader};
use crate::image::Timestamp;

/// The namespace of overlayfs' extended attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverlayFormat {
    /// Of a file system that a user mounted.
    User,
    /// Of a file system that root mounted.
    Trusted,
}

impl OverlayFormat {
    /// The extended attribute of folders that replace the folders of lower layers.
    pub(super) fn opaque(self) -> &'static [u8] {
        match self {
            Self::User => b"user.overlay.opaque",
            Self::Trusted => b"trusted.overlay.opaque",
        }
    }
}

/// Converts the tar of changed files to a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changes {
    /// The namespace of overlayfs' extended attributes.
    pub(crate) format: OverlayFormat,
    /// The latest modification time; later ones become this.
    pub(crate) mtime: Timestamp,
}

/// The options with which GNU tar reads the changed files, for the folder to read.
pub(super) const TAR_OPTIONS: [&str; 6] = [
    "--create",
    "--format=posix",
    "--sort=name",
    "--numeric-owner",
    "--xattrs",
    "--xattrs-include=*",
];

/// The mode of whiteouts, which engines ignore.
const WHITEOUT_MODE: u32 = 0o600;

/// The entry of `member`, without attributes of the host; `target` is that of a hard link. Its time
/// is at most `latest`.
pub(super) fn entry(
    path: &[u8],
    member: &Member,
    target: Box<[u8]>,
    latest: Option<Timestamp>,
) -> Entry {
    // The content follows the header.
    let kind = Kind::of_member(member, FileContent::sized(member), target);
    let mut entry = Entry::of_member(path, member, kind);
    if let Some(attributes) = &mut entry.attributes {
        (attributes.uname, attributes.gname) = (String::new(), String::new());
        attributes.mtime = latest.map_or(attributes.mtime, |latest| attributes.mtime.min(latest));
    }
    entry.xattrs.retain(|name, _| is_kept(name));
    entry
}

impl Changes {
    /// Reads `tar` to its end and writes the layer to `output`, with the recorded owners.
    pub(crate) fn convert(
        &self,
        tar: impl Read,
        mut owners: RecordedOwners,
        output: &mut dyn Write,
    ) -> io::Result<()> {
        let mut reader = TarReader::new(CountingReader::new(tar));
        let mut whiteouts = BTreeSet::new();
        while let Some(member) = reader.next_member()? {
            let path = normalize(&member.path)
                .ok_or_else(|| io::Error::other("the changes contain an unsafe path"))?;
            if path.is_empty() {
                continue;
            }
            if name_of(&path).starts_with(WHITEOUT) {
                return Err(io::Error::other(format!(
                    "the step made {}, and names that begin with \".wh.\" mean a removal in a \
                     layer; rename it",
                    display_path(&path)
                )));
            }
            // overlayfs makes many whiteouts as hard links of one.
            let target = normalize(&member.link).unwrap_or_default();
            let is_whiteout = match member.kind {
                MemberKind::Special(SpecialKind::CharDevice(0, 0)) => true,
                MemberKind::HardLink => whiteouts.contains(&target),
                _ => false,
            };
            if is_whiteout {
                self.whiteout(&path, &[WHITEOUT, name_of(&path)].concat(), output)?;
                whiteouts.insert(path);
                continue;
            }
            let owner = owners.owner(&path, &member, &target);
            let is_opaque = member.kind == MemberKind::Directory && self.is_opaque(&member);
            let mut entry = entry(&path, &member, target, Some(self.mtime));
            let content = if let Kind::File(content) = &entry.kind { content.size() } else { 0 };
            if let Some(attributes) = &mut entry.attributes {
                (attributes.uid, attributes.gid) = owner;
            }
            self.write(entry, output)?;
            let copied = io::copy(&mut reader, output)?;
            if copied != content {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            output.write_all(&vec![0; padding(content) as usize])?;
            if is_opaque {
                self.whiteout(&join(&path, b"x"), OPAQUE, output)?;
            }
        }
        output.write_all(&END)
    }

    /// Writes the whiteout `name` beside `path`.
    fn whiteout(&self, path: &[u8], name: &[u8], output: &mut dyn Write) -> io::Result<()> {
        let kind = Kind::File(FileContent::Inline(Box::default()));
        let mut entry = Entry::new(join(parent_of(path), name), WHITEOUT_MODE, kind);
        let (uname, gname) = (String::new(), String::new());
        let attributes = Attributes { uid: 0, gid: 0, uname, gname, mtime: self.mtime };
        entry.attributes = Some(Box::new(attributes));
        self.write(entry, output)
    }

    fn write(&self, entry: Entry, output: &mut dyn Write) -> io::Result<()> {
        let mut header = Vec::new();
        header::encode(&entry, &Attributes::default(), &mut header);
        output.write_all(&header)
    }

    /// Whether overlayfs marked the folder as one that replaces the folder below.
    fn is_opaque(&self, member: &Member) -> bool {
        member.xattrs.get(self.format.opaque()).is_some_and(|value| **value == *b"y")
    }
}

/// Whether an extended attribute belongs to the file rather than to overlayfs, steps or the host.
pub(super) fn is_kept(name: &[u8]) -> bool {
    let is_own = name == ATTRIBUTE || name.starts_with(b"user.overlay.");
    name == CAPABILITIES || (name.starts_with(b"user.") && !is_own)
}
