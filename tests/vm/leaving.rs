//! A machine goes with the process that started it, however that ends.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The QEMU that `parent` started, as soon as it runs, and the folder of its machine.
fn qemu_of(parent: &Child) -> (u32, String) {
    let found = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|process| {
                let pid: u32 = process.file_name().to_str()?.parse().ok()?;
                let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
                let parent_of: u32 = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?;
                let line = std::fs::read_to_string(process.path().join("cmdline")).ok()?;
                let console = line.split('\0').find_map(|word| word.strip_prefix("file:"))?;
                let folder = Path::new(console).parent()?.to_str()?.to_owned();
                (parent_of == parent.id() && line.starts_with("qemu-system")).then_some((pid, folder))
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

/// A `seatrial vm up` that a failing test does not leave behind.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn up() -> Up {
    let mut up = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    let up =
        up.args(["vm", "up", "docker-20.10"]).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
    Up(up)
}

fn gone(pid: u32) -> Option<()> {
    (!Path::new(&format!("/proc/{pid}")).exists()).then_some(())
}

#[test]
fn a_machine_dies_with_its_process_and_what_a_killed_one_leaves_the_next_removes() {
    let mut killed = up();
    let (qemu, left) = qemu_of(&killed.0);
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();
    wait_for("QEMU to die with its killed parent", Duration::from_secs(10), || gone(qemu));

    let mut asked = up();
    let (qemu, folder) = qemu_of(&asked.0);
    assert!(!Path::new(&left).exists(), "{left} is left");
    Command::new("kill").args(["-TERM", &asked.0.id().to_string()]).status().unwrap();
    assert!(asked.0.wait().unwrap().success());
    assert!(gone(qemu).is_some() && !Path::new(&folder).exists());
}
