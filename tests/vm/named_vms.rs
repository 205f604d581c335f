//! Named VMs: `seatrial vm up`, `list`, `exec`, `logs` and `down`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use seatrial::engine::{Mount, RunOptions, Settings};
use seatrial::harness::Daemon;

use crate::each_engine::on_each_engine;
use crate::sample_image::SampleImage;
use crate::workbench::{GUEST, NamedVm, RUN_TIMEOUT, run, seatrial, show, stdout};

/// Runs `vm exec` with `input`, and returns the exit code and both streams.
fn exec(vm: &str, command: &[&str], input: &[u8]) -> (Option<i32>, Vec<u8>, String) {
    let mut exec = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    exec.args(["vm", "exec", vm, "--"]).args(command);
    exec.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = exec.spawn().unwrap();
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(input).unwrap();
    drop(stdin);
    let output = running.wait_with_output().unwrap();
    // Binary data would only hide the rest.
    if output.stdout.len() < 10_000 {
        show(&exec, &output);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), output.stdout, stderr)
}

fn exec_passes_input_and_exits_like_the_command(vm: &str) {
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    assert_eq!(exec(vm, &["cat"], &bytes), (Some(0), bytes, String::new()));
    let (code, ..) = exec(vm, &["sh", "-c", "kill -KILL $$"], b"");
    assert_eq!(code, Some(128 + 9));
    let (code, _, error) = exec(vm, &["no-such-program"], b"");
    let expected = "seatrial: failed to run no-such-program in the guest: No such file or \
                    directory\n";
    assert_eq!((code, error.as_str()), (Some(127), expected));
    let (code, _, error) = exec(vm, &["/etc/passwd"], b"");
    let expected = "seatrial: failed to run /etc/passwd in the guest: Permission denied\n";
    assert_eq!((code, error.as_str()), (Some(126), expected));
}

fn folder_line(folder: &str) -> String {
    format!("export DOCKER_CERT_PATH={folder}\n")
}

fn the_environment_of_a_shell_selects_the_vm(vm: &str, cert_path: &str) {
    let environment = stdout(&seatrial(&["vm", "env", vm]));
    assert!(environment.starts_with(&format!("export SEATRIAL_VM={vm}\n")), "{environment}");
    assert!(environment.ends_with(cert_path), "{environment}");
    let script = format!("{environment}exec \"$0\" vm exec -- hostname");
    let selected = || {
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_seatrial")]);
        shell
    };
    stdout(&run(&mut selected()));
    let mut stale = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    let output = run(stale.args(["vm", "exec", "--", "true"]).env("SEATRIAL_VM", "gone"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("\"gone\", which the variable SEATRIAL_VM names"), "{error}");
}

const EXPECTATIONS: &str = r#"
[[setup]]
container = { command = ["echo first >/www/made"], user = "0" }
[[setup]]
container = { command = ["echo second >>/www/made"], user = "0" }
[[run]]
name = "hello"
stdout = "hello\n"
[[run]]
name = "files"
setup = [["/bin/sh", "-c", "echo third >>/www/made"]]
container = { command = ["cat /www/made"], user = "0" }
stdout = "first\nsecond\nthird\n"
[[run]]
name = "files of this host"
stdout = "kept\n"
[run.container]
command = ["cat /etc/app/state; echo used >/var/app/state"]
user = "0"
tmpfs = ["/cache"]
hosts = { db = "10.0.0.5" }
files = [{ path = "/etc/app.conf", content = "x" }]
mounts = [
  { path = "/etc/app", source = "data" },
  { path = "/var/app", source = "data", writable = true },
]
"#;

/// Lists the folders that containers of a check may leave in a guest.
fn folders_of_containers(vm: &str) -> String {
    let script = "ls -d /run/seatrial/containers/* /var/lib/*/seatrial-files/* /var/log/pods/*";
    String::from_utf8(exec(vm, &["sh", "-c", script], b"").1).unwrap()
}

fn leaves_no_folder(engine: &str) {
    let name: &'static str = format!("folders-of-{}", engine.replace('.', "-")).leak();
    let up = NamedVm(name);
    stdout(&seatrial(&["vm", "up", engine, "--name", up.0]));
    let sample = SampleImage::new();
    std::fs::write(sample.path("e.toml"), EXPECTATIONS).unwrap();
    std::fs::create_dir(sample.path("data")).unwrap();
    std::fs::write(sample.path("data/state"), "kept\n").unwrap();
    stdout(&sample.seatrial(&["check", "app.tar", "--expect", "e.toml", "--vm", up.0]));
    assert_eq!(folders_of_containers(up.0), "");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(containers_of_the_library_leave_no_folder(up.0, &sample));
}

async fn containers_of_the_library_leave_no_folder(vm: &str, sample: &SampleImage) {
    let daemon = Daemon::attach(Some(vm)).await.unwrap();
    let image = daemon.load_archive(&sample.path("app.tar"), "sample/app:1.0").await.unwrap();
    let mount = Mount::new(sample.path("data"), "/etc/app");
    let options = |script: &str| RunOptions {
        command: Some(vec![script.to_owned()]),
        mounts: vec![mount.clone()],
        settings: Settings { tmpfs: vec!["/cache".to_owned()], ..Settings::default() },
        ..RunOptions::service()
    };
    let files = || {
        let all = folders_of_containers(vm);
        all.lines().filter(|line| !line.starts_with("/var/log")).count()
    };
    let output = image.run(&options("cat /etc/app/state"), RUN_TIMEOUT).await.unwrap();
    assert_eq!((output.stdout.as_str(), files()), ("kept\n", 0));
    let (output, _) =
        image.run_and_commit(&options("cat /etc/app/state"), RUN_TIMEOUT).await.unwrap();
    assert_eq!((output.stdout.as_str(), files()), ("kept\n", 0));
    let refused = RunOptions { entrypoint: Some(vec!["/absent".to_owned()]), ..options("") };
    assert!(image.start(&refused).await.is_err());
    assert_eq!(files(), 0);
    let container = image.start(&options("exec sleep 999")).await.unwrap();
    assert_ne!(files(), 0);
    let command = ["/bin/cat", "/etc/app/state"];
    assert_eq!(container.exec(&command, RUN_TIMEOUT).await.unwrap().stdout, "kept\n");
    container.remove().await.unwrap();
    assert_eq!(files(), 0);

    // The next container sees the changes of this one.
    let mount = Mount { writable: true, ..mount.clone() };
    let writable = |script| RunOptions {
        mounts: vec![mount.clone()],
        user: Some("0".to_owned()),
        ..options(script)
    };
    image.run(&writable("echo new >/etc/app/state"), RUN_TIMEOUT).await.unwrap();
    let output = image.run(&writable("cat /etc/app/state"), RUN_TIMEOUT).await.unwrap();
    assert_eq!(output.stdout, "new\n");
    daemon.remove_leftovers().await;
    assert_eq!(folders_of_containers(vm), "");
}

#[test]
#[ignore = "for the nightly run"]
fn a_check_in_a_named_vm_leaves_no_folder_there_on_each_engine() {
    on_each_engine(&["containerd-1.7"], leaves_no_folder);
}

fn a_check_runs_in_the_vm(vm: &str) {
    let sample = SampleImage::new();
    std::fs::write(sample.path("e.toml"), EXPECTATIONS).unwrap();
    std::fs::create_dir(sample.path("data")).unwrap();
    std::fs::write(sample.path("data/state"), "kept\n").unwrap();
    // The second time, the engine has the layers.
    for _ in 0..2 {
        let arguments = ["check", "app.toml", "--expect", "e.toml", "--vm", vm, "--json"];
        let output = stdout(&sample.seatrial(&arguments));
        let verdict: serde_json::Value = serde_json::from_str(&output).unwrap();
        let outcomes: Vec<_> = verdict["cases"].as_array().unwrap().iter().collect();
        assert!(outcomes.iter().all(|case| case["outcome"] == "passed"), "{output}");
        assert!(outcomes.iter().any(|case| case["name"] == "run hello"), "{output}");
    }
    assert_eq!(folders_of_containers(vm), "");
    // The images of setup were removed.
    let script = "docker image ls --all --format '{{.Repository}}:{{.Tag}}'";
    let listed = (Some(0), b"sample/app:1.0\n".into(), String::new());
    assert_eq!(exec(vm, &["sh", "-c", script], b""), listed);
}

#[test]
fn a_named_vm_is_listed_and_serves_docker_until_it_is_ended() {
    let up = NamedVm("named-by-a-test");
    // With flock(1), the program inherits the descriptor of a lock.
    let lock = tempfile::NamedTempFile::new().unwrap();
    let mut locked = Command::new("flock");
    locked.arg(lock.path()).arg(env!("CARGO_BIN_EXE_seatrial"));
    let output = stdout(&run(locked.args(["vm", "up", GUEST, "--name", up.0, "--json"])));
    stdout(&run(Command::new("flock").arg("--nonblock").arg(lock.path()).arg("true")));
    let vm: serde_json::Value = serde_json::from_str(&output).unwrap();
    let folder = vm["folder"].as_str().unwrap();
    assert!(stdout(&seatrial(&["vm", "list"])).contains(up.0));
    let second = seatrial(&["vm", "up", GUEST, "--name", up.0]);
    assert_eq!(second.status.code(), Some(2));
    let error = String::from_utf8_lossy(&second.stderr);
    assert!(error.contains(&format!("seatrial vm env {}", up.0)), "{error}");
    assert!(error.contains("a VM named \"named-by-a-test\" is running"), "{error}");

    // An ordinary client with the exported certificate.
    let pem = |name: &str| format!("{folder}/{name}.pem");
    let address = format!("https://localhost:{}/version", vm["port"]);
    let (ca, cert, key) = (pem("ca"), pem("cert"), pem("key"));
    let arguments = ["-sS", "-m", "20", "--cacert", &ca, "--cert", &cert, "--key", &key, &address];
    let version = stdout(&run(Command::new("curl").args(arguments)));
    assert!(version.contains("\"Version\":\"20.10."), "{version}");

    let script = "echo in the guest; echo oops >&2; exit 5";
    let output = seatrial(&["vm", "exec", up.0, "--", "sh", "-c", script]);
    assert_eq!(
        (output.status.code(), &output.stdout[..], &output.stderr[..]),
        (Some(5), &b"in the guest\n"[..], &b"oops\n"[..])
    );
    exec_passes_input_and_exits_like_the_command(up.0);
    the_environment_of_a_shell_selects_the_vm(up.0, &folder_line(folder));
    a_check_runs_in_the_vm(up.0);
    let logs = stdout(&seatrial(&["vm", "logs", up.0, "--unit", "docker.service"]));
    assert!(logs.contains("API listen on"), "{logs}");

    stdout(&seatrial(&["vm", "down", up.0]));
    assert!(!std::path::Path::new(folder).exists());
    let after = seatrial(&["vm", "exec", up.0, "--", "true"]);
    assert_eq!(after.status.code(), Some(2));
    let error = String::from_utf8_lossy(&after.stderr);
    assert!(error.contains("there is no VM named \"named-by-a-test\""), "{error}");
}

#[test]
fn pipes_in_the_folders_of_vms_are_not_waited_for() {
    let cache = tempfile::TempDir::new().unwrap();
    let vm = cache.path().join("seatrial/vms/vm-x");
    std::fs::create_dir_all(&vm).unwrap();
    for name in ["vm.json", "lock"] {
        stdout(&run(Command::new("mkfifo").arg(vm.join(name))));
        // A program that waits for the pipe does so for ever.
        let mut list = Command::new("timeout");
        list.args(["300", env!("CARGO_BIN_EXE_seatrial"), "vm", "list"]);
        stdout(&run(list.env("XDG_CACHE_HOME", cache.path())));
    }
}

/// A program in the background that answers each datagram with the same.
const UDP_ECHO: &str = "use Socket; socket S, PF_INET, SOCK_DGRAM, 17 or die; \
    bind S, sockaddr_in(53, INADDR_ANY) or die; exit if fork; \
    open $_, '>', '/dev/null' for *STDOUT, *STDERR; \
    while (my $from = recv S, my $text, 1500, 0) { send S, $text, 0, $from }";

/// Starts a VM with published ports: 8080 and 53/udp of the guest. Returns those of the host.
fn up_with_free_ports(up: &NamedVm) -> (u16, u16) {
    let resources = ["--memory", "1500", "--cpus", "1", "--disk", "20", "--egress"];
    let start = || {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let udp_port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (publish, udp) = (format!("{port}:8080"), format!("{udp_port}:53/udp"));
        let publish = ["vm", "up", GUEST, "--name", up.0, "--publish", &publish, "--publish", &udp];
        let output = seatrial(&[&publish[..], &resources].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        // Another program may have taken a port meanwhile.
        let taken = error.contains("failed to publish") || error.contains("Could not set up host");
        (!taken).then(|| drop(stdout(&output))).map(|()| (port, udp_port))
    };
    std::iter::repeat_with(start).take(3).flatten().next().unwrap()
}

#[test]
fn a_named_vm_has_the_resources_and_published_ports_that_it_is_given() {
    let up = NamedVm("resized-by-a-test");
    let (port, udp_port) = up_with_free_ports(&up);
    let publish = format!("{port}:8080");
    let script = "nproc; awk '/MemTotal/ { print int($2 / 1024 / 100) }' /proc/meminfo; \
                  df --output=size -BG /var/lib/docker | tail -n 1; \
                  setsid busybox nc -ll -p 8080 -e echo hello >/dev/null 2>&1 </dev/null &";
    let output = stdout(&seatrial(&["vm", "exec", up.0, "--", "sh", "-c", script]));
    let words: Vec<&str> = output.split_whitespace().collect();
    // The kernel keeps some memory for itself, and the file system some space.
    assert_eq!(words, ["1", "14", "20G"], "{output}");
    let answer = || {
        let mut answer = String::new();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.read_to_string(&mut answer).ok()?;
        (!answer.is_empty()).then_some(answer)
    };
    // QEMU accepts connections before the program in the guest does.
    let answer = std::iter::repeat_with(answer).take(1000).flatten().next();
    assert_eq!(answer.as_deref(), Some("hello\n"));
    stdout(&seatrial(&["vm", "exec", up.0, "--", "perl", "-e", UDP_ECHO]));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let answer = || {
        socket.send_to(b"ahoy", ("127.0.0.1", udp_port)).ok()?;
        let mut answer = [0; 4];
        socket.recv(&mut answer).ok().map(|_| answer)
    };
    let answer = std::iter::repeat_with(answer).take(100).flatten().next();
    assert_eq!(answer, Some(*b"ahoy"));

    let output = seatrial(&["vm", "up", GUEST, "--name", "second", "--publish", &publish]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains(&format!("failed to publish port {port}")), "{error}");

    let output = seatrial(&["vm", "up", GUEST, "--publish", "80"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("write HOST:GUEST"), "{error}");
}

/// A shell evaluates what `vm up` prints.
#[test]
fn a_name_of_a_vm_that_a_shell_would_read_as_several_words_is_refused() {
    for name in ["", "a b", "x\ntouch injected\n#", "-x", "é"] {
        let output = seatrial(&["vm", "up", GUEST, &format!("--name={name}")]);
        assert_eq!(output.status.code(), Some(2), "{name:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("invalid VM name") && error.lines().count() == 1, "{error}");
    }
}
