//! Assembles guests from Debian packages, without root, and caches them by what they are made of.
//!
//! mmdebstrap checks every package against Debian's signed archive. A guest appears in the cache whole or not
//! at all; two processes that want the same one wait for each other.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::vm::VmError;
use crate::vm::folders::{Lock, ROOM, cached, free, remove_left};
use crate::vm::guest::Definition;
use crate::vm::guest::Guest;
use crate::vm::guest::debian;
use crate::vm::tools::{MKE2FS, MMDEBSTRAP, Tool};

/// The size of a machine's scratch disk in bytes. It is sparse.
const SCRATCH: u64 = 16 << 30;
/// Lines of a failed assembly that are shown.
const SHOWN: usize = 8;

/// Where packages come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Lines of a `sources.list`, or the address of a mirror; the host's own where not given.
    pub lines: Vec<String>,
}

/// The guest called `name`, assembled if it is not in the cache. `said` is told what the assembling program
/// says, line by line.
///
/// # Errors
/// When there is no such guest, a program is missing, the archive cannot be reached, or the disk is full.
/// Nothing is left behind then.
pub fn assemble(
    name: &str,
    sources: &Sources,
    said: &mut dyn FnMut(&str),
) -> Result<Guest, VmError> {
    let guests = cached("guests")?;
    let guest = locate(name, sources)?;
    let folder = guest.folder().to_owned();
    let name = guest.definition.like.as_deref().unwrap_or(&guest.name).to_owned();
    if folder.is_dir() {
        return Ok(guest);
    }
    let _lock = Lock::made_by_another(&guests.join(format!("{name}.lock")))?;
    if folder.is_dir() {
        return Ok(guest);
    }
    for (path, variable) in [(guests.clone(), "XDG_CACHE_HOME"), (std::env::temp_dir(), "TMPDIR")] {
        let free = free(&path)?;
        if free < ROOM {
            return Err(VmError::NoRoom { path, free, variable });
        }
    }
    let unfinished = format!(".assembling-{name}-");
    remove_left(&guests, &unfinished)?;
    let work = tempfile::Builder::new().prefix(&unfinished).tempdir_in(&guests);
    let work = work.map_err(VmError::file("make a folder in", &guests))?;
    let made = work.path().join("guest");
    fs::create_dir(&made).map_err(VmError::file("make", &made))?;
    let mmdebstrap = debian::assembling(&guest.definition, &sources.lines, work.path(), &made)?;
    run(&guest.name, mmdebstrap, MMDEBSTRAP, said)?;
    scratch(&made)?;
    fs::rename(&made, &folder).map_err(VmError::file("name", &folder))?;
    Ok(guest)
}

/// The guest called `name`, assembled or not.
///
/// # Errors
/// When there is no such guest.
pub fn locate(name: &str, sources: &Sources) -> Result<Guest, VmError> {
    let definition = Definition::named(name)?;
    let digest = definition.digest(&sources.lines.join("\n")).hex();
    let assembled = definition.like.as_deref().unwrap_or(&definition.name);
    let folder = cached("guests")?.join(format!("{assembled}-{}", &digest[..16]));
    Ok(Guest::new(definition, folder))
}

/// The file system is made once; machines write to overlays of it.
fn scratch(made: &Path) -> Result<(), VmError> {
    let path = made.join("scratch.raw");
    let file = File::create(&path).and_then(|file| file.set_len(SCRATCH));
    file.map_err(VmError::file("make", &path))?;
    let mut mke2fs = Command::new(MKE2FS.require()?);
    mke2fs
        .args(["-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard"])
        .arg(&path);
    run("scratch disk", mke2fs, MKE2FS, &mut |_| ())
}

/// Runs a program that says what it does on standard error.
fn run(
    guest: &str,
    mut command: Command,
    Tool { program, .. }: Tool,
    said: &mut dyn FnMut(&str),
) -> Result<(), VmError> {
    let failed = |problem: String| VmError::Assembly { guest: guest.to_owned(), problem };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|error| failed(format!("{program} does not start: {error}")))?;
    let mut last = Vec::new();
    for line in
        child.stderr.take().map(BufReader::new).into_iter().flat_map(SplitNewlines::split_newlines)
    {
        said(&line);
        last.push(line);
        if last.len() > SHOWN {
            last.remove(0);
        }
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(format!("{program} ended with {status}:\n{}", last.join("\n"))))
    }
}

/// Lines whatever bytes they are made of.
trait SplitNewlines: BufRead + Sized {
    fn split_newlines(self) -> impl Iterator<Item = String> {
        self.split(b'\n')
            .map_while(Result::ok)
            .map(|line| String::from_utf8_lossy(&line).into_owned())
    }
}

impl<R: BufRead> SplitNewlines for R {}
