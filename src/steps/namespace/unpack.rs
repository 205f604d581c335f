//! Unpacks layers in the user namespace, as overlayfs expects them.
//!
//! The layer is read here, where hostile ones are found, and GNU tar gets one without links in the
//! way to other entries, devices, and whiteouts.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::process::Stdio;

use super::holder::{self, UserNamespace};
use crate::archive::ArchiveError;
use crate::archive::blob::FileSlice;
use crate::archive::decompress::{Codec, CountingReader};
use crate::archive::entry::{Attributes, Entry, Kind, Xattrs, display_path};
use crate::archive::header::{self, END, padding};
use crate::archive::layer_tree::LayerTree;
use crate::archive::limits::Limits;
use crate::archive::tar::{Member, MemberKind, SpecialKind, TarReader};
use crate::archive::tree::Node;
use crate::image::{DiffId, Timestamp};
use crate::steps::StepError;
use crate::steps::changes::{is_kept, kind};

/// The extended attribute of a folder that replaces the folders of lower layers.
const OPAQUE: &[u8] = b"user.overlay.opaque";

/// Unpacks the layer in `bytes` into `folder`, and returns the size of its files in bytes.
pub(super) fn unpack(
    namespace: &UserNamespace,
    bytes: &FileSlice,
    diff_id: DiffId,
    folder: &Path,
) -> Result<u64, StepError> {
    let name = format!("layer {diff_id}");
    let invalid = |error: io::Error| ArchiveError::invalid(&name, error.to_string());
    let failed = || StepError::io("run", "tar");
    let tree = LayerTree::read(&mut reader(bytes).map_err(invalid)?, &Limits::default());
    let tree = tree.map_err(invalid)?;
    let mut tar = namespace.command("tar");
    tar.args(["--extract", "--file=-", "--same-owner", "--numeric-owner", "--same-permissions"]);
    tar.args(["--xattrs", "--xattrs-include=*", "--warning=no-timestamp", "-C"]).arg(folder);
    tar.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = tar.spawn().map_err(failed())?;
    let errors = holder::collect(child.stderr.take());
    let input = child.stdin.take().ok_or_else(|| failed()(io::ErrorKind::Other.into()))?;
    let output = BufWriter::with_capacity(128 << 10, input);
    let mut writer = Writer { namespace, tree: &tree, output, skipped: BTreeSet::new(), size: 0 };
    let written = reader(bytes).and_then(|reader| writer.write(reader));
    let size = writer.size;
    drop(writer);
    let status = child.wait().map_err(failed())?;
    match written {
        // `tar` has the reason.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe && !status.success() => {}
        written => written.map_err(invalid)?,
    }
    match status.success() {
        true => Ok(size),
        false => Err(failed()(io::Error::other(errors.join()))),
    }
}

type LayerReader = TarReader<CountingReader<Box<dyn Read + Send>>>;

fn reader(bytes: &FileSlice) -> io::Result<LayerReader> {
    let codec = Codec::detect(bytes)?;
    Ok(TarReader::new(CountingReader::new(codec.decode(bytes.clone())?)))
}

/// Writes a layer for GNU tar.
struct Writer<'a, W> {
    namespace: &'a UserNamespace,
    /// Everything that the layer has.
    tree: &'a LayerTree,
    output: W,
    /// Devices, which a namespace cannot make.
    skipped: BTreeSet<Box<[u8]>>,
    size: u64,
}

impl<W: Write> Writer<'_, W> {
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
            if is_device || self.skipped.contains(&target) {
                self.skipped.insert(path);
                continue;
            }
            self.check_owner(&path, &member)?;
            let mut entry = entry(&path, &member, kind(&member, target));
            if self.tree.is_opaque(&path) {
                entry.xattrs.insert(OPAQUE.into(), b"y".as_slice().into());
            }
            self.header(&entry)?;
            let copied = io::copy(&mut reader, &mut self.output)?;
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
            entry.xattrs.insert(OPAQUE.into(), b"y".as_slice().into());
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
        if self.namespace.ids.contain(uid, gid) {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{} belongs to {uid}:{gid}, which is beyond the range of this user's IDs in \
             /etc/subuid and /etc/subgid; make it longer",
            display_path(path)
        )))
    }
}

fn entry(path: &[u8], member: &Member, kind: Kind) -> Entry {
    let mtime = i64::try_from(member.mtime).ok();
    let mtime = mtime.and_then(|seconds| Timestamp::from_seconds(seconds).ok());
    let attributes = Attributes {
        uid: member.uid,
        gid: member.gid,
        uname: String::new(),
        gname: String::new(),
        mtime: mtime.unwrap_or(Timestamp::DEFAULT),
    };
    let xattrs = member.xattrs.iter().filter(|(name, _)| is_kept(name));
    let xattrs: Xattrs = xattrs.map(|(name, value)| (name.clone(), value.clone())).collect();
    Entry {
        path: path.into(),
        mode: member.mode,
        kind,
        attributes: Some(Box::new(attributes)),
        xattrs,
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
