//! A disk of the host that is full while a VM uses it: a file system in memory, which only the
//! processes of the test see.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sample_image::SampleImage;
use crate::workbench::{GUEST, RUN_TIMEOUT, run, seatrial, stdout};

/// The size of the file system, of a file that leaves little of it, and of what a guest writes.
const SIZE_MIB: usize = 256;
const FILLER_MIB: usize = 160;
const WRITTEN_MIB: usize = 128;

/// A namespace of mounts in which the folder of VMs is a small file system.
struct SmallDisk {
    /// Ends when its standard input is closed, also because the test was killed, and ends the
    /// named VMs in the namespace before.
    holder: Child,
    /// The folder of VMs.
    vms: PathBuf,
}

impl SmallDisk {
    fn new() -> Self {
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
        let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
        let vms = cache.join("seatrial/vms");
        // The program makes the folder.
        stdout(&seatrial(&["vm", "list"]));
        let script = format!(
            "trap '' HUP INT TERM\n\
             mount -t tmpfs -o size={SIZE_MIB}M,mode=700 none \"$1\" && echo mounted || exit\n\
             read line; \"$2\" vm down --all"
        );
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
        unshare
            .arg(&vms)
            .arg(env!("CARGO_BIN_EXE_seatrial"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut holder = unshare.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n");
        Self { holder, vms }
    }

    /// Returns a command that runs `program` in the namespace.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--user", "--mount", "--preserve-credentials"]);
        command.arg(format!("--target={}", self.holder.id())).arg("--").arg(program);
        command
    }

    fn seatrial(&self, arguments: &[&str]) -> Output {
        run(self.command(env!("CARGO_BIN_EXE_seatrial")).args(arguments))
    }

    /// The path from outside of the namespace.
    fn outside(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(path.strip_prefix("/").unwrap())
    }

    fn fill(&self) {
        let filler = self.outside(&self.vms).join("filler");
        std::fs::write(filler, vec![0; FILLER_MIB << 20]).unwrap();
    }

    fn free(&self) {
        std::fs::remove_file(self.outside(&self.vms).join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Closes its standard input first.
        let _ = self.holder.wait();
    }
}

/// The state of a VM according to its QEMU's monitor.
fn state(folder: &Path) -> String {
    let mut stream = UnixStream::connect(folder.join("qmp.sock")).unwrap();
    let commands = "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"query-status\"}\n";
    stream.write_all(commands.as_bytes()).unwrap();
    for line in BufReader::new(stream).lines() {
        let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if let Some(status) = message["return"]["status"].as_str() {
            return status.to_owned();
        }
    }
    panic!("the monitor closed the connection");
}

fn wait_for_state(folder: &Path, expected: &str) {
    let deadline = Instant::now() + RUN_TIMEOUT;
    while state(folder) != expected {
        assert!(Instant::now() < deadline, "timed out waiting for {expected}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn signal(process: &Value, signal: &str) {
    let mut kill = Command::new("kill");
    run(kill.args([signal, &process.as_u64().unwrap().to_string()]));
}

/// The background process of the VM looks at the disk regularly. It is stopped until there is space
/// again, as a process of a busy host may be, so it cannot see that the disk was full.
#[test]
fn a_vm_continues_if_the_disk_of_the_host_was_full_for_a_moment() {
    let disk = SmallDisk::new();
    let up = disk.seatrial(&["vm", "up", GUEST, "--name", "full-disk", "--json"]);
    let vm: Value = serde_json::from_str(&stdout(&up)).unwrap();
    let folder = disk.outside(Path::new(vm["folder"].as_str().unwrap()));
    signal(&vm["background_pid"], "-STOP");
    disk.fill();
    let write = format!(
        "(yes 0123456789abcde | head -c {WRITTEN_MIB}M >/var/lib/docker/written; sync
          echo 3 >/proc/sys/vm/drop_caches; md5sum </var/lib/docker/written >/run/sum.new
          mv /run/sum.new /run/sum) </dev/null >/dev/null 2>&1 &"
    );
    let exec = |script: &str| {
        stdout(&disk.seatrial(&["vm", "exec", "full-disk", "--", "setsid", "sh", "-c", script]))
    };
    exec(&write);
    wait_for_state(&folder, "io-error");
    disk.free();
    signal(&vm["background_pid"], "-CONT");
    wait_for_state(&folder, "running");
    let sum = exec("while [ ! -e /run/sum ]; do sleep 0.2; done; cat /run/sum");
    let mut expected = Command::new("sh");
    let script = format!("yes 0123456789abcde | head -c {WRITTEN_MIB}M | md5sum");
    assert_eq!(sum, stdout(&run(expected.args(["-c", &script]))));
}

#[test]
fn a_disk_of_the_host_that_stays_full_is_named_and_is_the_environments_failure() {
    let disk = SmallDisk::new();
    let sample = SampleImage::new();
    let expectations = format!(
        "[[run]]\nname = 'writes'\n[run.container]\nuser = '0'\n\
         shell = '/bin/busybox dd if=/dev/zero of=/x bs=1M count={SIZE_MIB}; /bin/busybox sync'\n"
    );
    std::fs::write(sample.path("e.toml"), expectations).unwrap();
    let (image, file) = (sample.path("app.tar"), sample.path("e.toml"));
    let arguments = [image.to_str().unwrap(), "--expect", file.to_str().unwrap()];
    let output = disk.seatrial(&[&["check"], &arguments[..], &["--engine", GUEST]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("the disk of this host is full: a VM could not write to"), "{text}");
}
