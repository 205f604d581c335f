//! Assembles guests from Debian packages, without root, and caches them by the digest of their
//! definition.
//!
//! mmdebstrap verifies every package with Debian's signatures. A guest appears in the cache only
//! when it is complete. Processes that need the same guest wait for each other.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::vm::VmError;
use crate::vm::folders::{self, GUESTS, NEEDED_SPACE, cache_folder, free_space};
use crate::vm::guest::Definition;
use crate::vm::guest::Guest;
use crate::vm::guest::debian;
use crate::vm::locks::Lock;
use crate::vm::tools::{MKE2FS, MMDEBSTRAP, Tool};
use crate::vm::user_ids;

/// The size of a VM's scratch disk in bytes. It is sparse.
const SCRATCH_SIZE: u64 = 16 << 30;
/// The number of lines of a failed program's output in errors.
const ERROR_LINES: usize = 8;
/// The beginnings of lines that mmdebstrap prints while it cleans up after a failure.
const CLEANUP: [&str; 3] = ["umount: ", "W: umount ", "I: removing tempdir "];
/// The beginning of the names of unfinished guests' folders; the guest's name and a dash follow.
pub(in crate::vm) const UNFINISHED: &str = ".assembling-";

/// The Debian mirrors that packages come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Lines of a `sources.list`, or the address of a mirror. Empty for the host's mirrors.
    pub lines: Vec<String>,
}

/// Returns the guest called `name`, and assembles it if it is not in the cache. Each line that
/// mmdebstrap prints is passed to `on_output`.
///
/// # Errors
/// If there is no such guest, a program is missing, the mirror does not respond, or the disk is
/// full. Nothing is left in the cache then.
pub fn assemble(
    name: &str,
    sources: &Sources,
    on_output: &mut dyn FnMut(&str),
) -> Result<Guest, VmError> {
    let guests = cache_folder(GUESTS)?;
    let guest = locate(name, sources)?;
    let folder = guest.folder().to_owned();
    let name = guest.definition.assembled_name().to_owned();
    if folder.is_dir() {
        return Ok(guest);
    }
    let _lock = Lock::acquire_with_timeout(&guests.join(format!("{name}.lock")))?;
    if folder.is_dir() {
        return Ok(guest);
    }
    check_space(&guests, "XDG_CACHE_HOME")?;
    check_space(&std::env::temp_dir(), "TMPDIR")?;
    let unfinished = format!("{UNFINISHED}{name}-");
    folders::remove_unfinished(&guests, &unfinished)?;
    let work = tempfile::Builder::new().prefix(&unfinished).tempdir_in(&guests);
    let work = work.map_err(VmError::file("create a folder in", &guests))?;
    let output = work.path().join("guest");
    fs::create_dir(&output).map_err(VmError::file("create", &output))?;
    let mmdebstrap = debian::mmdebstrap(&guest.definition, &sources.lines, work.path(), &output)?;
    run(&guest.name, mmdebstrap, MMDEBSTRAP, on_output)?;
    create_scratch_disk(&guest.name, &output)?;
    fs::rename(&output, &folder).map_err(VmError::file("rename a folder to", &folder))?;
    Ok(guest)
}

/// Returns the guest called `name`, whether it is assembled or not.
///
/// # Errors
/// If there is no such guest.
pub fn locate(name: &str, sources: &Sources) -> Result<Guest, VmError> {
    let definition = Definition::named(name)?;
    let digest = definition.digest(&sources.lines.join("\n")).hex();
    let folder = format!("{}-{}", definition.assembled_name(), &digest[..16]);
    Ok(Guest::new(definition, cache_folder(GUESTS)?.join(folder)))
}

fn check_space(folder: &Path, variable: &'static str) -> Result<(), VmError> {
    let (path, free, needed) = (folder.to_owned(), free_space(folder)?, NEEDED_SPACE);
    match free < needed {
        true => Err(VmError::DiskFull { path, free, needed, variable }),
        false => Ok(()),
    }
}

/// Creates the empty file system that the scratch disks of VMs are based on.
fn create_scratch_disk(guest: &str, folder: &Path) -> Result<(), VmError> {
    let path = folder.join("scratch.raw");
    let file = File::create(&path).and_then(|file| file.set_len(SCRATCH_SIZE));
    file.map_err(VmError::file("create", &path))?;
    let mut mke2fs = Command::new(MKE2FS.require()?);
    mke2fs
        .args(["-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard"])
        .arg(&path);
    run(guest, mke2fs, MKE2FS, &mut |_| ())
}

/// Runs a program that prints its progress to standard error.
fn run(
    guest: &str,
    mut command: Command,
    Tool { program, .. }: Tool,
    on_output: &mut dyn FnMut(&str),
) -> Result<(), VmError> {
    let failed = |problem: String| VmError::Assembly { guest: guest.to_owned(), problem };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|error| failed(format!("failed to start {program}: {error}")))?;
    let mut last = Vec::new();
    let output = child.stderr.take().map(BufReader::new);
    for line in output.into_iter().flat_map(|output| output.split(b'\n')).map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        on_output(&line);
        if !CLEANUP.iter().any(|cleanup| line.starts_with(cleanup)) {
            last.push(line);
        }
        if last.len() > ERROR_LINES {
            last.remove(0);
        }
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    match status.success() {
        true => Ok(()),
        false => {
            let mut problem = format!("{program} failed with {status}:\n{}", last.join("\n"));
            if let Some(missing) = user_ids::problem().filter(|_| program == MMDEBSTRAP.program) {
                problem += &format!("\nthis user cannot have a guest assembled: {missing}");
            }
            Err(failed(problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of mmdebstrap's output when a hook failed.
    const OUTPUT: &str = "dpkg: error: the cause
W: umount /sys failed: 8192
umount: /tmp/mmdebstrap.x/dev/shm/: not mounted.
W: umount ./dev/shm/ failed: 8192
umount: /tmp/mmdebstrap.x/dev/pts/: not mounted.
W: umount ./dev/pts/ failed: 8192
umount: /tmp/mmdebstrap.x/dev/: not mounted.
E: setup failed: E: special hook failed with exit code 6400
I: removing tempdir /tmp/mmdebstrap.x...
E: mmdebstrap failed to run
";

    #[test]
    fn the_error_of_a_failed_assembly_has_the_cause_and_no_lines_of_the_cleanup() {
        let mut failing = Command::new("sh");
        failing.args(["-c", "printf %s \"$1\" >&2; exit 25", "sh", OUTPUT]);
        let mut printed = 0;
        let failed = run("x", failing, MMDEBSTRAP, &mut |_| printed += 1);
        let expected = "failed to assemble the guest x: mmdebstrap failed with exit status: 25:\n\
            dpkg: error: the cause\n\
            E: setup failed: E: special hook failed with exit code 6400\n\
            E: mmdebstrap failed to run";
        assert_eq!(failed.unwrap_err().to_string(), expected);
        assert_eq!(printed, OUTPUT.lines().count());
    }
}
