//! A VM ends with the process that started it, however that ends, and nothing of it remains.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::workbench::{GUEST, Workbench};

/// Waits for the QEMU that `parent` starts, and returns its process ID and the folder of its VM.
pub fn qemu_of(parent: &Child) -> (u32, String) {
    let find = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|process| {
                let pid: u32 = process.file_name().to_str()?.parse().ok()?;
                let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
                let parent_pid: u32 =
                    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?;
                let line = std::fs::read_to_string(process.path().join("cmdline")).ok()?;
                let console = line.split('\0').find_map(|word| word.strip_prefix("file:"))?;
                let folder = Path::new(console).parent()?.to_str()?.to_owned();
                (parent_pid == parent.id() && line.starts_with("qemu-system"))
                    .then_some((pid, folder))
            })
            .next()
    };
    // The guest may have to be assembled first, by this or another test.
    wait_for("QEMU to start", Duration::from_secs(600), find)
}

fn wait_for<T>(what: &str, limit: Duration, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(Instant::now() < deadline, "timed out waiting for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The background process of a named VM, killed even if the test fails.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program, with the default actions of signals: a test that `nohup` or a shell runs in the
/// background ignores some, which programs inherit.
fn seatrial() -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal", env!("CARGO_BIN_EXE_seatrial")]);
    command
}

/// Starts a background process as `vm up` does: its standard input stays open.
fn background(name: &str) -> Background {
    let mut command = seatrial();
    command.args(["vm", "background", GUEST, name, "--cold"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::inherit());
    Background(command.spawn().unwrap())
}

fn has_exited(pid: u32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_vm_ends_with_its_process_and_the_next_vm_removes_what_a_killed_process_left() {
    let mut killed = background("killed");
    let (qemu, abandoned) = qemu_of(&killed.0);
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();
    let exited = || has_exited(qemu).then_some(());
    wait_for("QEMU to exit with its killed parent", Duration::from_secs(60), exited);

    for signal in ["-TERM", "-HUP"] {
        let mut terminated = background("terminated");
        let (qemu, folder) = qemu_of(&terminated.0);
        assert!(!Path::new(&abandoned).exists(), "{abandoned} remains");
        Command::new("kill").args([signal, &terminated.0.id().to_string()]).status().unwrap();
        assert!(terminated.0.wait().unwrap().success(), "{signal}");
        assert!(has_exited(qemu) && !Path::new(&folder).exists(), "{signal}");
    }

    let mut unwanted = background("unwanted");
    let (qemu, folder) = qemu_of(&unwanted.0);
    drop(unwanted.0.stdin.take());
    let status = unwanted.0.wait().unwrap();
    assert!(status.success(), "`vm up` exited before the VM was ready: {status}");
    assert!(has_exited(qemu) && !Path::new(&folder).exists());
}

/// Runs `check` on a recipe, whose temporary files are in the folder `tmp` of the one returned.
fn started_check() -> (Background, tempfile::TempDir) {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("tmp")).unwrap();
    std::fs::write(folder.path().join("secret"), "s").unwrap();
    let recipe = "name='secret'\ntag='1'\ncontents='secret'\n";
    std::fs::write(folder.path().join("secret.toml"), recipe).unwrap();
    let expectations = "[[run]]\nname='r'\ncontainer={command=['/x']}\n";
    std::fs::write(folder.path().join("e.toml"), expectations).unwrap();
    let mut command = seatrial();
    command.args(["check", "secret.toml", "--expect", "e.toml", "--engine", GUEST]);
    command.current_dir(folder.path()).env("TMPDIR", folder.path().join("tmp"));
    command.stdout(Stdio::null()).stderr(Stdio::inherit());
    (Background(command.spawn().unwrap()), folder)
}

#[test]
fn a_check_that_is_ended_leaves_neither_vm_nor_built_image() {
    for (signal, code) in [("-KILL", None), ("-HUP", Some(129)), ("-TERM", Some(143))] {
        let (mut check, folder) = started_check();
        let (qemu, vm_folder) = qemu_of(&check.0);
        Command::new("kill").args([signal, &check.0.id().to_string()]).status().unwrap();
        assert_eq!(check.0.wait().unwrap().code(), code, "{signal}");
        let exited = || has_exited(qemu).then_some(());
        wait_for("QEMU to exit", Duration::from_secs(60), exited);
        let files = std::fs::read_dir(folder.path().join("tmp")).unwrap().flatten();
        let files: Vec<_> = files.map(|file| file.file_name()).collect();
        assert_eq!(files, [""; 0], "{signal}");
        assert!(signal == "-KILL" || !Path::new(&vm_folder).exists(), "{signal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_daemon_leaves_neither_process_nor_folder() {
    let bench = Workbench::new().await;
    let (pid, folder) = (bench.daemon.vm().pid(), bench.daemon.vm().folder().to_owned());
    assert!(!has_exited(pid) && folder.exists());
    drop(bench);
    assert!(has_exited(pid) && !folder.exists());
}
