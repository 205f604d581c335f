//! Containers of the library: what a test in Rust does with them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use futures_util::future::join_all;
use seatrial::conditions::{HttpExpectations, Port, ReadyConditions, Text};
use seatrial::engine::{ExecOptions, FileToCopy, LogChunk, Mount, RunOptions, Settings};
use seatrial::harness::{Container, Daemon, HarnessError, LoadedImage};
use tokio::net::UdpSocket;

use crate::container_files;
use crate::each_engine::{engines, is_cri};
use crate::workbench::{GUEST, RUN_TIMEOUT, Workbench};

const RECIPE: &str = "name='server'\ntag='1'\ncontents='rootfs'\n[config]\nEnv=['PATH=/bin']\n";
const POD_GUEST: &str = "containerd-1.7";

/// Options for a shell script in a container on a network.
pub fn shell(script: &str) -> RunOptions {
    let words = ["/bin/sh", "-c", script];
    RunOptions {
        entrypoint: Some(words.map(str::to_owned).to_vec()),
        command: Some(Vec::new()),
        ..RunOptions::service()
    }
}

async fn server(bench: &Workbench) -> LoadedImage<'_> {
    std::os::unix::fs::symlink("busybox", bench.path("rootfs/bin/httpd")).unwrap();
    std::os::unix::fs::symlink("busybox", bench.path("rootfs/bin/wget")).unwrap();
    bench.load(RECIPE).await
}

/// Sends a request, and returns what the server answers until it closes the connection.
fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Everything that works on each engine.
async fn common(bench: &Workbench) {
    let image = server(bench).await;
    let files =
        vec![FileToCopy { path: "/www/index".into(), content: b"hi".to_vec(), mode: 0o644 }];
    std::fs::create_dir_all(bench.path("config")).unwrap();
    std::fs::write(bench.path("config/greeting"), "from the host\n").unwrap();
    std::fs::write(bench.path("single"), "one file\n").unwrap();
    let script = "echo started; echo problems >&2; exec httpd -f -p 8000 -h /www";
    let options = RunOptions {
        settings: Settings { files, tmpfs: vec!["/scratch".into()], ..Settings::default() },
        mounts: vec![
            Mount::new(bench.path("config"), "/config"),
            Mount::new(bench.path("single"), "/single"),
        ],
        ..shell(script)
    };
    let ready = ReadyConditions {
        http: Some(HttpExpectations {
            port: 8000,
            path: Some("/index".to_owned()),
            body: Some(Text::equal_to("hi")),
            ..HttpExpectations::default()
        }),
        port: Some(8000.into()),
        exec: Some(vec!["/bin/true".to_owned()]),
        ..ReadyConditions::log("started")
    };
    let server = image.start_ready(&options, &ready).await.unwrap();

    let output =
        server.exec(&["/bin/sh", "-c", "echo out; echo err >&2; exit 7"], RUN_TIMEOUT).await;
    let output = output.unwrap();
    assert_eq!((output.code, &*output.stdout, &*output.stderr), (7, "out\n", "err\n"));

    let mounted = "cat /config/greeting /single; echo x 2>/dev/null >/single || echo read-only; \
                   echo kept >/scratch/file; cat /scratch/file; \
                   while read _ path type _; do [ $path = /scratch ] && echo $type; done \
                   </proc/mounts";
    let output = server.exec(&["/bin/sh", "-c", mounted], RUN_TIMEOUT).await.unwrap();
    assert_eq!(output.stdout, "from the host\none file\nread-only\nkept\ntmpfs\n", "{output:?}");

    let forwarded = server.forward(8000).await.unwrap();
    assert!(forwarded.address().ip().is_loopback());
    for _ in 0..2 {
        let address = forwarded.address();
        let answer = tokio::task::spawn_blocking(move || get(address, "/index")).await.unwrap();
        let answered = answer.contains(" 200 OK\r\n") && answer.ends_with("\r\n\r\nhi");
        assert!(answered, "{answer}");
    }
    let address = forwarded.address();
    drop(forwarded);
    // The task that listens ends when it is next scheduled.
    let closed = async {
        while TcpStream::connect(address).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(RUN_TIMEOUT, closed).await.unwrap();

    datagrams(&bench.daemon, &server).await;
    let refused = server.connect(9).await.unwrap_err();
    assert!(
        refused.to_string().starts_with("failed to connect to port 9 of a container of server:1: "),
        "{refused}"
    );
    container_files::on_each(&bench.daemon, &image, &server).await;
    server.remove().await.unwrap();
    logs(&image).await;
    terminal(&image).await;
    not_ready(&image).await;
}

/// The terminal puts a carriage return before each newline, also where the engine's log has none.
async fn terminal(image: &LoadedImage<'_>) {
    let settings = Settings { tty: true, ..Settings::default() };
    let options = RunOptions { settings, ..shell("echo started; exec sleep 300") };
    let container = image.start(&options).await.unwrap();
    let ready = |log: &str| ReadyConditions {
        log: Some(Text::matching(log).unwrap()),
        ..Default::default()
    };
    container.wait_until_ready(&ready("^started\r\n$")).await.unwrap();
    let without = ready("^started\n$").within(Duration::from_secs(1));
    let error = container.wait_until_ready(&without).await.unwrap_err();
    assert!(matches!(error, HarnessError::NotReady { .. }), "{error}");
    container.remove().await.unwrap();
}

/// A program in the background that answers each datagram to port 9000 with the same.
const UDP_ECHO: &str = "use Socket; socket S, PF_INET, SOCK_DGRAM, 17 or die; \
    bind S, sockaddr_in(9000, INADDR_ANY) or die; exit if fork; \
    open $_, '>', '/dev/null' for *STDOUT, *STDERR; \
    while (my $from = recv S, my $text, 65536, 0) { send S, $text, 0, $from }";

/// Each client of a forwarded UDP port gets the answers to its own datagrams, whatever their size.
async fn datagrams(daemon: &Daemon, server: &Container<'_>) {
    // The image has no program for it: one of the guest runs in the network of the container.
    let script = "for process in /proc/[0-9]*; do read -r name <$process/comm; \
                  [ $name != httpd ] || exec nsenter --net=$process/ns/net perl -e \"$0\"; \
                  done; exit 1";
    let output = daemon.guest_run("/bin/sh", &["-c", script, UDP_ECHO], RUN_TIMEOUT).await;
    assert_eq!(output.as_ref().unwrap().code, Some(0), "{output:?}");
    let forwarded = server.forward(Port::udp(9000)).await.unwrap();
    let mut clients = Vec::new();
    for name in ["first", "second"] {
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(forwarded.address()).await.unwrap();
        clients.push((name, client));
    }
    for length in [0, 1, 9000] {
        for (name, client) in &clients {
            client.send(name.repeat(length).as_bytes()).await.unwrap();
        }
        for (name, client) in &clients {
            let mut answer = vec![0; 65536];
            let received = tokio::time::timeout(RUN_TIMEOUT, client.recv(&mut answer)).await;
            answer.truncate(received.unwrap().unwrap());
            assert!(answer == name.repeat(length).as_bytes(), "{name}, {length}: {answer:?}");
        }
    }
    let address = forwarded.address();
    drop(forwarded);
    let closed = async {
        while UdpSocket::bind(address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(RUN_TIMEOUT, closed).await.unwrap();
}

/// Output arrives while the container runs: this one ends only after its first line was read.
async fn logs(image: &LoadedImage<'_>) {
    let script = "echo first; echo oops >&2; while [ ! -e /go ]; do sleep 0.1; done; echo last";
    let container = image.start(&shell(script)).await.unwrap();
    let mut logs = container.follow_logs(RUN_TIMEOUT);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut released = false;
    while let Some(chunk) = logs.next().await {
        match chunk.unwrap() {
            LogChunk::Stdout(bytes) => stdout.extend_from_slice(&bytes),
            LogChunk::Stderr(bytes) => stderr.extend_from_slice(&bytes),
        }
        if stdout == b"first\n" && !released {
            released = true;
            let go = ["/bin/sh", "-c", "echo >/go"];
            assert_eq!(container.exec(&go, RUN_TIMEOUT).await.unwrap().code, 0);
        }
    }
    assert!(released);
    assert_eq!((&*stdout, &*stderr), (&b"first\nlast\n"[..], &b"oops\n"[..]));
    container.remove().await.unwrap();
}

async fn not_ready(image: &LoadedImage<'_>) {
    let ends = shell("echo 'no config' >&2; exit 3");
    let error = image.start_ready(&ends, &ReadyConditions::port(8000)).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, HarnessError::NotReady { .. }), "{text}");
    assert!(text.contains("exit code 3") && text.contains("no config"), "{text}");

    let silent = ReadyConditions::log("never").within(Duration::from_secs(1));
    let error = image.start_ready(&shell("exec sleep 300"), &silent).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("is ready: timed out after 1 s: the condition for its log"), "{text}");
    assert!(!error.is_environment());

    let container = image.start(&shell("echo working; exec sleep 300")).await.unwrap();
    container.wait_until_ready(&ReadyConditions::log("working")).await.unwrap();
    let limit = Duration::from_millis(10);
    let error = container.wait(limit).await.unwrap_err().to_string();
    assert!(error.contains("it still runs after 0.01 s") && error.contains("working"), "{error}");
    let mut logs = container.follow_logs(Duration::from_secs(5));
    let error = loop {
        match logs.next().await.unwrap() {
            Ok(chunk) => assert_eq!(chunk.bytes(), "working\n"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("it still runs after 5 s") && error.contains("working"), "{error}");
    assert!(logs.next().await.is_none());
    container.remove().await.unwrap();
}

fn containers_left(daemon: &Daemon) -> impl Future<Output = usize> {
    let api = daemon.docker().unwrap().api().clone();
    async move {
        let options =
            seatrial::engine::bollard::query_parameters::ListContainersOptionsBuilder::default();
        api.list_containers(Some(options.all(true).build())).await.unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_does_what_tests_in_rust_need_on_each_engine() {
    let tests = engines(&[GUEST, POD_GUEST]).into_iter().map(|engine| async move {
        if is_cri(&engine) { pod(&engine).await } else { docker(&engine).await }
    });
    join_all(tests).await;
}

/// Everything that works on engines with Docker's API.
async fn docker(engine: &str) {
    let bench = Workbench::on(engine).await;
    common(&bench).await;
    // Those that did not become ready were removed, which the client of bollard sees.
    assert_eq!(containers_left(&bench.daemon).await, 0);

    let image = bench.load("name='other'\ntag='1'\ncontents='rootfs'\n").await;
    let container = image.start(&shell("trap 'exit 4' USR1; sleep 300 & wait")).await.unwrap();
    container.copy_in("/etc/made/by/test", "made\n", 0o640).await.unwrap();
    let command = ["/bin/sh", "-c", "cat /etc/made/by/test; echo answer >/answer; id -u"];
    let as_user = ExecOptions { user: Some("7".to_owned()), ..ExecOptions::command(command) };
    let output = container.exec_with(&as_user, RUN_TIMEOUT).await.unwrap();
    assert!(output.stderr.contains("Permission denied"), "{output:?}");
    let output = container.exec(&command, RUN_TIMEOUT).await.unwrap();
    assert_eq!(output.stdout, "made\n0\n", "{output:?}");
    // More than pipes hold, so that input and output must flow at the same time.
    let stdin = "0123456789abcde\n".repeat(1 << 16);
    let copies = ExecOptions { stdin: Some(stdin.clone()), ..ExecOptions::command(["/bin/cat"]) };
    let output = container.exec_with(&copies, RUN_TIMEOUT).await.unwrap();
    assert!(output.code == 0 && output.stdout == stdin, "{} bytes", output.stdout.len());
    assert_eq!(container.copy_out("/answer").await.unwrap().as_deref(), Some(&b"answer\n"[..]));
    if engine.starts_with("podman") {
        let healthy = container.wait_until_ready(&ReadyConditions::healthy()).await;
        assert!(unsupported(healthy).ends_with("drops health checks of images that it loads"));
    }
    container.signal("SIGUSR1").await.unwrap();
    assert_eq!(container.wait(RUN_TIMEOUT).await.unwrap().code, 4);
    assert!(!container.state().await.unwrap().running);
    container.remove().await.unwrap();
    aliases(&bench.daemon, &image).await;
}

/// Containers on a network reach each other by alias, and others do not.
async fn aliases(daemon: &Daemon, image: &LoadedImage<'_>) {
    let network = daemon.create_network().await.unwrap();
    let joined = |script: &str, aliases: &[&str]| RunOptions {
        attachment: Some(network.attachment(aliases)),
        ..shell(script)
    };
    let serve = "echo -n stock >/index; exec httpd -f -p 8000 -h /";
    let serving = joined(serve, &["store", "store.internal"]);
    let store = image.start_ready(&serving, &ReadyConditions::port(8000)).await.unwrap();
    let fetch = "wget -qO- http://store:8000/index; wget -qO- http://store.internal:8000/index";
    let output = image.run(&joined(fetch, &[]), RUN_TIMEOUT).await.unwrap();
    assert_eq!((output.code, &*output.stdout), (0, "stockstock"), "{output:?}");
    let output = image.run(&shell("wget -qO- http://store:8000/index"), RUN_TIMEOUT).await.unwrap();
    assert_ne!(output.code, 0, "{output:?}");
    store.remove().await.unwrap();
    network.remove().await.unwrap();
}

/// More output than a container may print whose output is read as a whole: 18 MiB, and a line.
async fn long_log(image: &LoadedImage<'_>) {
    let script =
        "dd if=/dev/zero bs=1048576 count=18 2>/dev/null | tr '\\000' x; echo; echo end >&2";
    let container = image.start(&shell(script)).await.unwrap();
    let mut logs = container.follow_logs(RUN_TIMEOUT);
    let (mut stdout, mut stderr) = (0, Vec::new());
    while let Some(chunk) = logs.next().await {
        match chunk.unwrap() {
            LogChunk::Stdout(bytes) => stdout += bytes.len(),
            LogChunk::Stderr(bytes) => stderr.extend_from_slice(&bytes),
        }
    }
    assert_eq!((stdout, &*stderr), ((18 << 20) + 1, &b"end\n"[..]));
    container.remove().await.unwrap();
}

/// The error of something that the engine cannot do.
pub fn unsupported<T>(result: Result<T, HarnessError>) -> String {
    let error = result.err().unwrap();
    assert!(error.is_unsupported(), "{error}");
    error.to_string()
}

/// Everything that works over CRI, and the errors of what does not.
async fn pod(engine: &str) {
    let bench = Workbench::on(engine).await;
    common(&bench).await;
    let image = bench.load("name='other'\ntag='1'\ncontents='rootfs'\n").await;
    long_log(&image).await;
    let container: Container<'_> = image.start(&shell("exec sleep 300")).await.unwrap();
    assert!(unsupported(container.signal("SIGHUP").await).starts_with("CRI sends only"));
    let command = || ExecOptions::command(["/bin/true"]);
    for (options, reason) in [
        (ExecOptions { user: Some("7".to_owned()), ..command() }, "CRI runs commands only as"),
        (ExecOptions { stdin: Some(String::new()), ..command() }, "CRI cannot end the standard"),
        (ExecOptions { working_dir: Some("/".to_owned()), ..command() }, "CRI gives commands no"),
        (ExecOptions { env: vec!["A=b".to_owned()], ..command() }, "CRI gives commands no"),
    ] {
        let problem = unsupported(container.exec_with(&options, RUN_TIMEOUT).await);
        assert!(problem.starts_with(reason), "{problem}");
    }
    let healthy = container.wait_until_ready(&ReadyConditions::healthy()).await;
    assert!(unsupported(healthy).starts_with("CRI ignores image health checks"));
    let network = bench.daemon.create_network().await;
    assert!(unsupported(network).starts_with("CRI has no networks that users create"));
    assert!(bench.daemon.docker().is_none());
    container.remove().await.unwrap();
}
