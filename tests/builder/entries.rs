//! Entries of layers with extended attributes, owners of their own, hard links and devices, as GNU
//! tar and umoci unpack them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{major, minor};
use seatrial::archive::ArchiveError;
use seatrial::archive::entry::{Attributes, Entry, FileContent, Kind, path_order};
use seatrial::archive::layer::LayerBuilder;
use seatrial::archive::pipeline::{self, LayerSource, NoCache};
use seatrial::archive::sink::LayerSink;
use seatrial::archive::tar::TarReader;
use seatrial::image::{DiffId, Timestamp};

use crate::lab::{Lab, Run, is_root};

/// The bytes of one layer.
#[derive(Default)]
pub struct Bytes(pub Vec<u8>);

impl LayerSink for Bytes {
    fn begin(&mut self, _: u64) -> std::io::Result<()> {
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn end(&mut self, _: DiffId) -> std::io::Result<()> {
        Ok(())
    }
}

/// The tar of `entries`.
fn tar(mut entries: Vec<Entry>) -> Vec<u8> {
    entries.sort_by(|a, b| path_order(&a.path, &b.path));
    let source: LayerSource<'_, ArchiveError> = Box::new(move || {
        let mut layer = LayerBuilder::new(Attributes::default());
        entries.iter().try_for_each(|entry| layer.push(entry))?;
        layer.finish()
    });
    let mut sink = Bytes::default();
    pipeline::run(vec![source], 2, &NoCache, &mut sink, |_| ()).unwrap();
    sink.0
}

fn file(path: &str, content: &str) -> Entry {
    let content = FileContent::Inline(content.as_bytes().into());
    Entry::new(path.as_bytes(), 0o640, Kind::File(content))
}

fn owned(uid: u64, gid: u64, mtime: i64, entry: Entry) -> Entry {
    let (uname, gname) = (String::new(), String::new());
    let mtime = Timestamp::from_seconds(mtime).unwrap();
    let attributes = Attributes { uid, gid, uname, gname, mtime };
    Entry { attributes: Some(Box::new(attributes)), ..entry }
}

fn with_xattrs(mut entry: Entry, xattrs: &[(&str, &[u8])]) -> Entry {
    entry.xattrs =
        xattrs.iter().map(|(name, value)| (name.as_bytes().into(), (*value).into())).collect();
    entry
}

/// cap_net_bind_service=ep, as setcap encodes it: little-endian revision 2 with the effective bit,
/// permitted and inheritable sets of 64 bits in two halves (linux/capability.h).
const NET_BIND: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Entries of every kind. Only root can create devices and give files away.
fn entries() -> Vec<Entry> {
    let long = format!("{}/{}", "d".repeat(80), "f".repeat(120));
    vec![
        owned(1000, 2000, 1_700_000_000, file("a", "first")),
        Entry::new(&b"b"[..], 0o640, Kind::HardLink(b"a"[..].into())),
        with_xattrs(file("bind", "binary"), &[("security.capability", &NET_BIND)]),
        with_xattrs(
            owned(3_000_000, 4_000_000, 1, file("user", "x")),
            &[("user.empty-looking", b"\0"), ("user.text", b"two\nlines=1")],
        ),
        Entry::new("d".repeat(80).as_bytes(), 0o755, Kind::Directory),
        with_xattrs(file(&long, &"long ".repeat(300)), &[("user.long", &[b'v'; 1500])]),
        with_xattrs(Entry::new(&b"dir"[..], 0o2750, Kind::Directory), &[("user.dir", b"1")]),
        Entry::new(&b"pipe"[..], 0o600, Kind::Fifo),
        Entry::new(&b"null"[..], 0o666, Kind::CharDevice(1, 3)),
        Entry::new(&b"disk"[..], 0o660, Kind::BlockDevice(259, 70_000)),
    ]
}

/// The kind, mode, owner, size, device and extended attributes of each file below `root`.
fn listing(lab: &Lab, root: &str) -> BTreeMap<String, String> {
    fn walk(lab: &Lab, root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let device = match meta.rdev() {
                0 => String::new(),
                device => format!(" {}:{}", major(device), minor(device)),
            };
            let names = path.to_str().unwrap();
            let xattrs =
                lab.tool("getfattr", ["-hd", "-m", "-", "-e", "hex", "--absolute-names", names]);
            let xattrs: Vec<&str> = xattrs.lines().filter(|line| line.contains('=')).collect();
            let (mode, size) = (meta.mode(), if meta.is_dir() { 0 } else { meta.size() });
            let text = format!(
                "{mode:o} {}:{} {size} x{}{device} {xattrs:?}",
                meta.uid(),
                meta.gid(),
                if meta.is_dir() { 0 } else { meta.nlink() }
            );
            found.insert(path.strip_prefix(root).unwrap().display().to_string(), text);
            if meta.is_dir() {
                walk(lab, root, &path, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(lab, &lab.path(root), &lab.path(root), &mut found);
    found
}

#[test]
fn gnu_tar_and_umoci_unpack_owners_links_devices_and_extended_attributes() {
    let lab = Lab::new();
    let bytes = tar(entries());
    lab.file("layer.tar", &bytes);
    if is_root() {
        lab.file("by-tar/.keep", "");
        fs::remove_file(lab.path("by-tar/.keep")).unwrap();
        let all = ["--xattrs", "--xattrs-include=*", "-xpf", "layer.tar", "-C", "by-tar"];
        lab.tool("tar", all);
        let found = listing(&lab, "by-tar");
        assert_eq!(found["a"], "100640 1000:2000 5 x2 []");
        assert_eq!(found["b"], found["a"]);
        assert_eq!(found["null"], "20666 0:0 0 x1 1:3 []");
        assert_eq!(found["disk"], "60660 0:0 0 x1 259:70000 []");
        assert!(found["dir"].starts_with("42750 0:0"), "{}", found["dir"]);
        assert!(found["dir"].contains("user.dir=0x31"), "{}", found["dir"]);
        assert!(found["user"].starts_with("100640 3000000:4000000"), "{}", found["user"]);
        let capabilities = lab.tool("getcap", ["by-tar/bind"]);
        assert_eq!(capabilities, "by-tar/bind cap_net_bind_service=ep\n");
        crate::tar_layers::layout(&lab, &bytes);
        lab.tool("umoci", ["raw", "unpack", "--image", "layout:t", "rootfs"]);
        assert_eq!(listing(&lab, "rootfs"), found);
    }
    // Anyone can list them.
    let names = Run::of({
        let mut command = lab.command("tar");
        command.args(["--numeric-owner", "--xattrs", "-tvvf", "layer.tar"]);
        command
    });
    let names = names.ok();
    assert!(names.contains("link to a"), "{names}");
    assert!(names.contains("user.text"), "{names}");
}

#[test]
fn the_reader_finds_what_the_writer_wrote() {
    let entries = entries();
    let bytes = tar(entries.clone());
    let mut reader = TarReader::new(seatrial::archive::decompress::CountingReader::new(&bytes[..]));
    let mut count = 0;
    while let Some(member) = reader.next_member().unwrap() {
        let name = member.path.strip_suffix(b"/").unwrap_or(&member.path);
        let entry = entries.iter().find(|entry| *entry.path == *name).unwrap();
        assert_eq!(member.xattrs, entry.xattrs);
        let attributes = entry.attributes.as_deref().cloned().unwrap_or_default();
        assert_eq!((member.uid, member.gid), (attributes.uid, attributes.gid));
        assert_eq!(member.mtime, attributes.mtime.seconds() as i64);
        assert_eq!(member.has_capabilities(), *name == *b"bind");
        count += 1;
    }
    assert_eq!(count, entries.len());
}
