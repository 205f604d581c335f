//! A tree of files from fuzz input: planted in a folder, built into an image, and described so that
//! what a reader finds in the image can be compared.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use arbitrary::Arbitrary;
use seatrial::archive::Compression;
use seatrial::build::{CacheUse, Format, Options};
use tempfile::TempDir;

use crate::reading::{self, Verified};

/// A tree, and how it is built.
#[derive(Arbitrary, Debug)]
pub struct Input {
    nodes: Vec<Node>,
    single: bool,
    format: u8,
    threads: u8,
    uid: u32,
    gid: u32,
    mtime: u32,
}

#[derive(Arbitrary, Debug)]
struct Node {
    parent: u8,
    name: Name,
    kind: Kind,
    mode: u16,
}

#[derive(Arbitrary, Debug)]
enum Name {
    Letter(u8),
    Bytes(Vec<u8>),
    Long { length: u8, letter: u8 },
}

#[derive(Arbitrary, Debug)]
enum Kind {
    Folder,
    File(Vec<u8>),
    /// A file of one byte, repeated: sizes around blocks and segments.
    Filled {
        byte: u8,
        size: u32,
    },
    Symlink(Vec<u8>),
    LongSymlink {
        length: u16,
        letter: u8,
    },
    SymlinkTo(u8),
    HardLinkTo(u8),
    Pipe,
}

/// The kind of an entry, and the content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A folder.
    Folder,
    /// A regular file with its content.
    File(Vec<u8>),
    /// A symlink with its target.
    Symlink(Vec<u8>),
    /// A named pipe.
    Pipe,
}

/// An entry as it must appear in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its kind.
    pub found: Found,
    /// The twelve permission bits.
    pub mode: u32,
}

/// A tree that was built into an image, and the entries that the image must have, by path.
#[derive(Debug)]
pub struct Built {
    /// The image, read back and verified.
    pub verified: Verified,
    /// The entries of the image's one layer.
    pub expected: BTreeMap<Vec<u8>, Entry>,
    /// The owner of each.
    pub owner: (u64, u64),
    /// The modification time of each.
    pub mtime: i64,
    _folder: TempDir,
    _file: tempfile::NamedTempFile,
}

const NODES_MAX: usize = 40;
/// Paths on this host end at 4096 bytes; the folder for temporary files takes some.
const PATH_MAX: usize = 3000;
/// More than a segment of the build pipeline, which is 512 KiB.
const FILE_MAX: u32 = 600 << 10;

impl Input {
    /// Plants the tree, builds it and opens the image. `None` if this host cannot hold the tree.
    pub fn built(&self) -> Option<Built> {
        let folder = TempDir::new().ok()?;
        let tree = folder.path().join("tree");
        let expected = self.plant(&tree).ok()?;
        // The calendar of recipes begins in 1970, at a second that is not zero in tar headers.
        let mtime = i64::from(self.mtime);
        let time = seatrial::image::Timestamp::from_seconds(self.mtime.into()).ok()?;
        // The highest number means "no change" to chown, and owns no file.
        let (uid, gid) = (self.uid % u32::MAX, self.gid % u32::MAX);
        let recipe = serde_json::json!({
            "name": "tree", "tag": "1", "contents": ["tree"], "uid": uid, "gid": gid,
            "layering": if self.single { "single" } else { "popularity" },
            "keep_contents_dirlinks": true, "mtime": time.to_string(),
        });
        let recipe_path = folder.path().join("recipe.json");
        let built = reading::build(&recipe_path, &recipe.to_string(), self.options());
        let names_a_removal = expected.keys().any(|path| {
            path.rsplit(|byte| *byte == b'/').next().is_some_and(|name| name.starts_with(b".wh."))
        });
        let (file, summary) = match built {
            Ok(built) => built,
            Err(error) => {
                assert!(names_a_removal, "the tree is refused: {error}");
                return None;
            }
        };
        assert!(!names_a_removal, "a name that begins with .wh. is accepted");
        let verified = reading::verified(file.path()).expect("an image that was built is accepted");
        assert_eq!(verified.image.id(), summary.id);
        let again = |options: Options| {
            reading::build(&recipe_path, &recipe.to_string(), options).expect("it is built again")
        };
        let (same, _) = again(Options { threads: 4 - self.options().threads, ..self.options() });
        let bytes = |file: &Path| fs::read(file).expect("a temporary file is read");
        assert!(bytes(same.path()) == bytes(file.path()), "the threads change the bytes");
        assert_eq!(again(reading::PLAIN).1.id, summary.id, "the format changes the image");
        let owner = (uid.into(), gid.into());
        Some(Built { verified, expected, owner, mtime, _folder: folder, _file: file })
    }

    fn options(&self) -> Options {
        let formats = [Format::Docker, Format::Oci, Format::Dual];
        let compressions = [Compression::None, Compression::Gzip, Compression::Zstd];
        Options {
            format: formats[usize::from(self.format) % 3],
            compression: compressions[usize::from(self.format) / 3 % 3],
            threads: 1 + usize::from(self.threads % 3),
            cache: CacheUse::Off,
        }
    }

    /// Creates the files below `root`. Nodes whose name is taken or impossible are left out.
    fn plant(&self, root: &Path) -> io::Result<BTreeMap<Vec<u8>, Entry>> {
        fs::create_dir(root)?;
        let mut planted: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
        let mut folders: Vec<Vec<u8>> = vec![Vec::new()];
        for node in self.nodes.iter().take(NODES_MAX) {
            let parent = &folders[usize::from(node.parent) % folders.len()];
            let Some(name) = node.name.usable() else { continue };
            let path = if parent.is_empty() { name } else { [parent, &b"/"[..], &name].concat() };
            if planted.contains_key(&path) || path.len() > PATH_MAX {
                continue;
            }
            let other = |number: u8| planted.iter().nth(usize::from(number) % planted.len().max(1));
            let target = root.join(OsStr::from_bytes(&path));
            let Some(found) = create(&node.kind, root, &target, other)? else { continue };
            let mode = match found {
                Found::Symlink(_) => 0o777,
                Found::Folder => u32::from(node.mode & 0o7777) | 0o700,
                _ => u32::from(node.mode & 0o7777) | 0o400,
            };
            if found == Found::Folder {
                folders.push(path.clone());
            }
            planted.insert(path, Entry { found, mode });
        }
        set_modes(root, &mut planted)?;
        Ok(planted)
    }
}

/// Creates `kind` at `target`; `None` if that is impossible. `other` returns one of the files that
/// exist already.
fn create<'a>(
    kind: &Kind,
    root: &Path,
    target: &Path,
    other: impl Fn(u8) -> Option<(&'a Vec<u8>, &'a Entry)>,
) -> io::Result<Option<Found>> {
    let link = |text: &[u8]| -> io::Result<Option<Found>> {
        if text.is_empty() || text.contains(&0) || text.len() > PATH_MAX {
            return Ok(None);
        }
        symlink(OsStr::from_bytes(text), target)?;
        Ok(Some(Found::Symlink(text.to_vec())))
    };
    let file = |content: Vec<u8>| -> io::Result<Option<Found>> {
        fs::write(target, &content)?;
        Ok(Some(Found::File(content)))
    };
    match kind {
        Kind::Folder => fs::create_dir(target).map(|()| Some(Found::Folder)),
        Kind::File(content) => file(content.clone()),
        Kind::Filled { byte, size } => file(vec![*byte; (size % FILE_MAX) as usize]),
        Kind::Symlink(text) => link(text),
        Kind::LongSymlink { length, letter } => {
            link(&vec![b'a' + letter % 26; usize::from(*length) % PATH_MAX])
        }
        Kind::SymlinkTo(number) => match other(*number) {
            Some((path, _)) => link(&[b"/", path.as_slice()].concat()),
            None => Ok(None),
        },
        Kind::HardLinkTo(number) => match other(*number) {
            Some((path, Entry { found: Found::File(content), .. })) => {
                let source: PathBuf = root.join(OsStr::from_bytes(path));
                fs::hard_link(source, target)?;
                Ok(Some(Found::File(content.clone())))
            }
            _ => Ok(None),
        },
        Kind::Pipe => {
            use rustix::fs::{CWD, FileType, Mode, mknodat};
            mknodat(CWD, target, FileType::Fifo, Mode::RUSR, 0)?;
            Ok(Some(Found::Pipe))
        }
    }
}

/// Sets the modes, and notes what they became: hard links share one.
fn set_modes(root: &Path, planted: &mut BTreeMap<Vec<u8>, Entry>) -> io::Result<()> {
    let place = |path: &[u8]| root.join(OsStr::from_bytes(path));
    for (path, entry) in planted.iter().filter(|(_, e)| !matches!(e.found, Found::Symlink(_))) {
        fs::set_permissions(place(path), Permissions::from_mode(entry.mode))?;
    }
    for (path, entry) in planted.iter_mut() {
        if !matches!(entry.found, Found::Symlink(_)) {
            entry.mode = fs::symlink_metadata(place(path))?.permissions().mode() & 0o7777;
        }
    }
    Ok(())
}

impl Name {
    fn usable(&self) -> Option<Vec<u8>> {
        let name = match self {
            Self::Letter(byte) => vec![b'a' + byte % 26],
            Self::Bytes(bytes) => bytes.iter().copied().take(255).collect(),
            Self::Long { length, letter } => vec![b'a' + letter % 26; usize::from(*length)],
        };
        let bad = name.is_empty() || name == b"." || name == b"..";
        (!bad && !name.iter().any(|byte| matches!(byte, 0 | b'/'))).then_some(name)
    }
}
