//! Templates that are damaged, gone, stale, or restored by a process that is killed. In a cache of its own, which has the
//! guest of the usual one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::dock::{GUEST, seatrial, stdout};

struct Cache(TempDir);

impl Cache {
    fn new() -> Self {
        stdout(&seatrial(&["vm", "prepare", GUEST, "--no-snapshot"]));
        let list: Value =
            serde_json::from_str(&stdout(&seatrial(&["vm", "list", "--json"]))).unwrap();
        let guest =
            items(&list, "guest").find(|item| item["current"] == true).unwrap()["folder"].clone();
        let guest = Path::new(guest.as_str().unwrap());
        // On the same file system, so that the guest's files can be had as links.
        let cache = TempDir::new_in(guest.ancestors().nth(2).unwrap()).unwrap();
        let to = cache.path().join("seatrial/guests").join(guest.file_name().unwrap());
        std::fs::create_dir_all(&to).unwrap();
        for file in std::fs::read_dir(guest).unwrap().flatten() {
            std::fs::hard_link(file.path(), to.join(file.file_name())).unwrap();
        }
        Self(cache)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seatrial"));
        command.args(arguments).env("XDG_CACHE_HOME", self.0.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts a machine, and gives it and how it got ready.
    fn up(&self) -> (Value, Vec<String>) {
        let kept: Value =
            serde_json::from_str(&stdout(&self.run(&["vm", "up", GUEST, "--json"]))).unwrap();
        let events = kept["timeline"].as_array().unwrap().iter();
        let events = events.map(|event| event["what"].as_str().unwrap().to_owned()).collect();
        (kept, events)
    }

    fn template(&self) -> PathBuf {
        let list: Value =
            serde_json::from_str(&stdout(&self.run(&["vm", "list", "--json"]))).unwrap();
        items(&list, "template").next().unwrap()["folder"].as_str().unwrap().into()
    }

    fn machines(&self) -> usize {
        let folders = std::fs::read_dir(self.0.path().join("seatrial/machines")).unwrap().flatten();
        folders.filter(|entry| entry.path().is_dir()).count()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.run(&["vm", "down", "--all"]);
    }
}

fn items<'a>(list: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    list["cache"].as_array().unwrap().iter().filter(move |item| item["kind"] == kind)
}

#[test]
fn a_template_may_be_damaged_deleted_stale_or_in_use_by_one_that_is_killed() {
    let cache = Cache::new();
    let (_, events) = cache.up();
    assert!(events.contains(&"the template is restored".to_owned()), "{events:?}");

    // Deleted under a running machine, which goes on.
    let template = cache.template();
    let about = std::fs::read(template.join("about.json")).unwrap(); // says when it was made
    std::fs::remove_dir_all(&template).unwrap();
    let still = cache.run(&[
        "vm",
        "exec",
        "--",
        "sh",
        "-c",
        "sha256sum /usr/sbin/dockerd /usr/bin/perl && docker ps",
    ]);
    stdout(&still);
    stdout(&cache.run(&["vm", "down"]));

    // It is made anew; so it is where it was truncated.
    stdout(&cache.run(&["vm", "prepare", GUEST]));
    assert_ne!(std::fs::read(template.join("about.json")).unwrap(), about);
    let ram = std::fs::File::options().write(true).open(template.join("ram")).unwrap();
    let size = ram.metadata().unwrap().len();
    ram.set_len(size / 2).unwrap();
    let list: Value = serde_json::from_str(&stdout(&cache.run(&["vm", "list", "--json"]))).unwrap();
    assert_eq!(items(&list, "template").count(), 0, "a damaged one is none");
    let (_, events) = cache.up();
    assert!(events.contains(&"the template is restored".to_owned()), "{events:?}");
    assert_eq!(template.join("ram").metadata().unwrap().len(), size);
    stdout(&cache.run(&["vm", "down"]));

    // One that is whole and yet cannot be restored: the machine is booted, that is said, and the template goes.
    let state = template.join("state");
    std::fs::write(&state, vec![0x5a; state.metadata().unwrap().len() as usize]).unwrap();
    let up = cache.run(&["vm", "up", GUEST, "--json"]);
    let kept: Value = serde_json::from_str(&stdout(&up)).unwrap();
    assert_eq!(kept["timeline"][0]["what"], "the kernel speaks");
    assert!(
        String::from_utf8_lossy(&up.stderr)
            .contains("booted, because the template could not be used"),
        "{up:?}"
    );
    assert!(!template.exists());
    stdout(&cache.run(&["vm", "down"]));
    stdout(&cache.run(&["vm", "prepare", GUEST]));

    // Killed while it restores: no process and, once the next has come, no folder is left.
    for milliseconds in [10, 40, 80, 160] {
        let mut keeper = cache.command(&["vm", "background", GUEST, "killed"]);
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(milliseconds) {
            std::thread::yield_now();
        }
        keeper.kill().unwrap();
        keeper.wait().unwrap();
    }
    cache.up();
    assert_eq!(cache.machines(), 1);
    stdout(&cache.run(&["vm", "down"]));
    assert_eq!(cache.machines(), 0);

    // With another QEMU it is of no more use, and goes.
    let path = cache.0.path().join("bin");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("qemu-system-x86_64"), "another").unwrap();
    let other = std::env::join_paths([path, "/usr/bin".into(), "/bin".into()]).unwrap();
    let pruned = cache.command(&["vm", "prune"]).env("PATH", other).output().unwrap();
    assert!(stdout(&pruned).contains(template.to_str().unwrap()), "{pruned:?}");
    assert!(!template.exists());
}
