//! A machine goes with the process that started it, however that ends.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::dock::{Dock, GUEST};

/// The QEMU that `parent` started, as soon as it runs, and the folder of its machine.
fn qemu_of(parent: &Child) -> (u32, String) {
    let found = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|process| {
                let pid: u32 = process.file_name().to_str()?.parse().ok()?;
                let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
                let parent_of: u32 =
                    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?;
                let line = std::fs::read_to_string(process.path().join("cmdline")).ok()?;
                let console = line.split('\0').find_map(|word| word.strip_prefix("file:"))?;
                let folder = Path::new(console).parent()?.to_str()?.to_owned();
                (parent_of == parent.id() && line.starts_with("qemu-system"))
                    .then_some((pid, folder))
            })
            .next()
    };
    // The guest may have to be assembled first, or another test be waited for that does.
    wait_for("QEMU to start", Duration::from_secs(600), found)
}

fn wait_for<T>(what: &str, limit: Duration, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A keeper that a failing test does not leave behind.
struct Keeper(Child);

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The process that owns a machine, started as `vm up` starts it: standard input stays open.
fn keeper(name: &str) -> Keeper {
    let mut keeper = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    keeper.args(["vm", "background", GUEST, name, "--cold"]);
    Keeper(
        keeper
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap(),
    )
}

fn gone(pid: u32) -> Option<()> {
    (!Path::new(&format!("/proc/{pid}")).exists()).then_some(())
}

#[test]
fn a_machine_dies_with_its_process_and_what_a_killed_one_leaves_the_next_removes() {
    let mut killed = keeper("killed");
    let (qemu, left) = qemu_of(&killed.0);
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();
    wait_for("QEMU to die with its killed parent", Duration::from_secs(10), || gone(qemu));

    let mut asked = keeper("asked");
    let (qemu, folder) = qemu_of(&asked.0);
    assert!(!Path::new(&left).exists(), "{left} is left");
    Command::new("kill").args(["-TERM", &asked.0.id().to_string()]).status().unwrap();
    assert!(asked.0.wait().unwrap().success());
    assert!(gone(qemu).is_some() && !Path::new(&folder).exists());

    let mut left_alone = keeper("left-alone");
    let (qemu, folder) = qemu_of(&left_alone.0);
    drop(left_alone.0.stdin.take());
    assert!(
        left_alone.0.wait().unwrap().success(),
        "whoever wanted the machine went away before it was ready"
    );
    assert!(gone(qemu).is_some() && !Path::new(&folder).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_daemon_leaves_neither_process_nor_folder() {
    let dock = Dock::new().await;
    let (pid, folder) = (dock.daemon.vm().pid(), dock.daemon.vm().folder().to_owned());
    assert!(gone(pid).is_none() && folder.exists());
    drop(dock);
    assert!(gone(pid).is_some() && !folder.exists());
}
