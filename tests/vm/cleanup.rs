//! A VM ends with the process that started it, however that ends, and nothing of it remains.

use std::io::{BufRead, BufReader};
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

/// A program that is killed even if the test fails.
pub struct Background(pub Child);

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

/// A folder with a recipe of one step in a VM, and a folder `tmp` for temporary files.
fn folder_with_step(command: &str) -> tempfile::TempDir {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(path("rootfs/bin")).unwrap();
    std::fs::create_dir(path("tmp")).unwrap();
    std::fs::copy("/bin/busybox", path("rootfs/bin/busybox")).unwrap();
    std::os::unix::fs::symlink("busybox", path("rootfs/bin/sh")).unwrap();
    let recipe = format!(
        "name='x'\ntag='1'\narchitecture='amd64'\ncontents=['rootfs']\n\
         [[run]]\nwhere='vm'\ncommand='{command}'\n"
    );
    std::fs::write(path("recipe.toml"), recipe).unwrap();
    folder
}

fn build_command(folder: &Path) -> Command {
    let mut command = seatrial();
    command.args(["build", "recipe.toml", "-o", "out.tar", "--no-cache"]).current_dir(folder);
    command.env("TMPDIR", folder.join("tmp")).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
fn a_build_that_is_killed_while_its_step_is_in_a_vm_leaves_nothing() {
    let mut abandoned = Vec::new();
    // While the VM starts, while the command runs, and while its changes are read.
    for moment in ["  (starting ", "  runs", "  ends"] {
        let command = "echo runs; /bin/busybox dd if=/dev/zero of=/made bs=1M count=64; echo ends";
        let folder = folder_with_step(command);
        let mut build = Background(build_command(folder.path()).spawn().unwrap());
        let mut lines = BufReader::new(build.0.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.starts_with(moment)), "{moment}");
        let (qemu, vm_folder) = qemu_of(&build.0);
        build.0.kill().unwrap();
        build.0.wait().unwrap();
        let exited = || has_exited(qemu).then_some(());
        wait_for("QEMU to exit", Duration::from_secs(60), exited);
        assert!(!folder.path().join("out.tar").exists(), "{moment}");
        let files = std::fs::read_dir(folder.path().join("tmp")).unwrap().flatten();
        let files: Vec<_> = files.map(|file| file.path()).collect();
        assert!(files.iter().all(|file| vm_folder.starts_with(&*file.to_string_lossy())));
        abandoned.push(vm_folder);
    }
    let folder = folder_with_step("echo > /made");
    let output = build_command(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(folder.path().join("out.tar").exists());
    abandoned.retain(|folder| Path::new(folder).exists());
    assert_eq!(abandoned, [""; 0], "the next VM removes what killed processes left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_daemon_leaves_neither_process_nor_folder() {
    let bench = Workbench::new().await;
    let (pid, folder) = (bench.daemon.vm().pid(), bench.daemon.vm().folder().to_owned());
    assert!(!has_exited(pid) && folder.exists());
    drop(bench);
    assert!(has_exited(pid) && !folder.exists());
}
