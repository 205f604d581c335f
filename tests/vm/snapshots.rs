//! Snapshots that are damaged, deleted, no longer used, or in use by a process that is killed. The
//! test has a cache of its own, with the assembled guest of the usual one.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::workbench::{GUEST, run, seatrial, stdout};

struct Cache(TempDir);

impl Cache {
    fn new() -> Self {
        stdout(&seatrial(&["vm", "prepare", GUEST, "--no-snapshot"]));
        let list = json(&seatrial(&["vm", "list", "--json"]));
        let guest = items(&list, "guest")
            .find(|item| item["current"] == true && item["guest"] == GUEST)
            .unwrap()["folder"]
            .clone();
        let guest = Path::new(guest.as_str().unwrap());
        // On the same file system, so that the guest's files can be hard links.
        let cache = TempDir::new_in(guest.ancestors().nth(2).unwrap()).unwrap();
        let to = cache.path().join("seatrial/guests").join(guest.file_name().unwrap());
        std::fs::create_dir_all(&to).unwrap();
        for file in std::fs::read_dir(guest).unwrap().flatten() {
            std::fs::hard_link(file.path(), to.join(file.file_name())).unwrap();
        }
        Self(cache)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        // Whatever the umask is, VMs and snapshots are private.
        let mut command = Command::new("sh");
        command.args(["-c", "umask 000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_seatrial")]);
        command.args(arguments).env("XDG_CACHE_HOME", self.0.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(&mut self.command(arguments))
    }

    /// Starts a VM, and returns the events of its timeline.
    fn up(&self) -> Vec<String> {
        let vm = json(&self.run(&["vm", "up", GUEST, "--json"]));
        let events = vm["timeline"].as_array().unwrap().iter();
        events.map(|event| event["what"].as_str().unwrap().to_owned()).collect()
    }

    fn down(&self) {
        stdout(&self.run(&["vm", "down"]));
    }

    /// The folders of all snapshots.
    fn snapshots(&self) -> Vec<PathBuf> {
        let list = json(&self.run(&["vm", "list", "--json"]));
        items(&list, "snapshot").map(|item| item["folder"].as_str().unwrap().into()).collect()
    }

    fn vm_folders(&self) -> usize {
        let folders = std::fs::read_dir(self.0.path().join("seatrial/vms")).unwrap().flatten();
        folders.filter(|entry| entry.path().is_dir()).count()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.run(&["vm", "down", "--all"]);
    }
}

/// Asserts that only the owner can use the folder at `path` and everything in it.
fn assert_private(path: &Path) {
    let mode = path.symlink_metadata().unwrap().permissions().mode() & 0o7777;
    let expected = if path.is_dir() { 0o700 } else { 0o600 };
    let owner_only = mode & 0o077 == 0 && mode & expected == expected;
    assert!(owner_only, "{} has mode {mode:o}", path.display());
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().flatten().for_each(|entry| assert_private(&entry.path()));
    }
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).unwrap()
}

fn items<'a>(list: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    list["cache"].as_array().unwrap().iter().filter(move |item| item["kind"] == kind)
}

#[test]
fn damaged_and_deleted_snapshots_are_made_again_and_unused_ones_are_pruned() {
    let cache = Cache::new();
    let restored = "snapshot restored".to_owned();
    assert!(cache.up().contains(&restored));
    assert_private(&cache.0.path().join("seatrial/vms"));
    assert_private(&cache.0.path().join("seatrial/snapshots"));

    // Another failure than a rejected snapshot does not delete it: QEMU has no memory for the VM.
    let mut limited = Command::new("prlimit");
    limited.arg("--as=1200000000").arg(env!("CARGO_BIN_EXE_seatrial"));
    limited.args(["vm", "up", GUEST, "--name", "limited"]).env("XDG_CACHE_HOME", cache.0.path());
    assert!(!run(&mut limited).status.success());
    assert_eq!(cache.snapshots().len(), 1);

    // A VM continues to run when its snapshot is deleted.
    let snapshot = cache.snapshots().remove(0);
    let metadata = || std::fs::read(snapshot.join("snapshot.json")).unwrap();
    let before = metadata(); // contains the time of creation
    std::fs::remove_dir_all(&snapshot).unwrap();
    let script = "sha256sum /usr/sbin/dockerd /usr/bin/perl && docker ps";
    stdout(&cache.run(&["vm", "exec", "--", "sh", "-c", script]));
    cache.down();

    // A deleted snapshot is made again.
    stdout(&cache.run(&["vm", "prepare", GUEST]));
    assert_ne!(metadata(), before);

    // So is a truncated one.
    let ram = std::fs::File::options().write(true).open(snapshot.join("ram")).unwrap();
    let size = ram.metadata().unwrap().len();
    ram.set_len(size / 2).unwrap();
    assert_eq!(cache.snapshots(), [""; 0].map(PathBuf::from), "a truncated one is not listed");
    assert!(cache.up().contains(&restored));
    assert_eq!(snapshot.join("ram").metadata().unwrap().len(), size);
    cache.down();

    // If a complete snapshot cannot be restored, the VM boots, and the snapshot is deleted.
    let state = snapshot.join("state");
    std::fs::write(&state, vec![0x5a; state.metadata().unwrap().len() as usize]).unwrap();
    let up = cache.run(&["vm", "up", GUEST, "--json"]);
    assert_eq!(json(&up)["timeline"][0]["what"], "first console output");
    let stderr = String::from_utf8_lossy(&up.stderr);
    assert!(stderr.contains("booted instead of restoring the snapshot"), "{stderr}");
    assert!(!snapshot.exists());
    cache.down();
    stdout(&cache.run(&["vm", "prepare", GUEST]));

    // If processes are killed while they restore a VM, the next one removes their folders.
    for milliseconds in [10, 40, 80, 160] {
        let mut background = cache.command(&["vm", "background", GUEST, "killed"]);
        let mut background =
            background.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(milliseconds) {
            std::thread::yield_now();
        }
        background.kill().unwrap();
        background.wait().unwrap();
    }
    cache.up();
    assert_eq!(cache.vm_folders(), 1);
    cache.down();
    assert_eq!(cache.vm_folders(), 0);

    // With another QEMU, the snapshot is unused and pruned.
    let path = cache.0.path().join("bin");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("qemu-system-x86_64"), "another").unwrap();
    let path = std::env::join_paths([path, "/usr/bin".into(), "/bin".into()]).unwrap();
    let pruned = run(cache.command(&["vm", "prune"]).env("PATH", path));
    assert!(stdout(&pruned).contains(snapshot.to_str().unwrap()), "{pruned:?}");
    let snapshots = std::fs::read_dir(snapshot.parent().unwrap()).unwrap().flatten();
    let left: Vec<_> = snapshots.map(|entry| entry.file_name()).collect();
    assert_eq!(left, [""; 0], "neither the snapshot nor its lock file remains");
}

#[test]
fn a_command_reports_that_it_waits_for_a_vm_slot_unless_it_is_quiet() {
    let cache = Cache::new();
    let slots = cache.0.path().join("seatrial/slots");
    std::fs::create_dir_all(&slots).unwrap();
    let slot = File::create(slots.join("0")).unwrap();
    slot.lock().unwrap();
    // A replay needs no snapshot, so no VM starts before it waits.
    let replay = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seatrial"));
        command.args(arguments).args(["replay", "original", "--engine", GUEST]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.env("XDG_CACHE_HOME", cache.0.path()).env("SEATRIAL_VMS", "1");
        command.spawn().unwrap()
    };
    let mut quiet = replay(&["--quiet"]);
    while !slots.join("ticket-0").exists() {
        assert!(quiet.try_wait().unwrap().is_none(), "it ended before it waited");
        std::thread::yield_now();
    }
    // The first one in the queue reports at once, later ones after a moment.
    let mut second = replay(&[]);
    let mut line = String::new();
    BufReader::new(second.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "note: waiting for a VM slot; the only one is in use\n");
    for child in [&mut quiet, &mut second] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut printed = String::new();
    quiet.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
    assert_eq!(printed, "");
}
