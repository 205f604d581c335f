//! Files copied out of containers: cases of the test in `containers`.

use std::time::Duration;

use seatrial::conditions::ReadyConditions;
use seatrial::engine::{RunOptions, Settings};
use seatrial::harness::{Container, Daemon, LoadedImage};

use crate::containers::{shell, unsupported};
use crate::workbench::RUN_TIMEOUT;

/// Makes files and links, some of which lead out of the container to files that guests have. At the
/// end, the process has another root than the container.
const MAKE: &str = r#"
busybox mkdir -p /out/in "/out/- a
b"; echo answer >/out/answer; echo odd >"/out/- a
b/ü"; echo mounted >/scratch/file
busybox ln -s /out/answer /out/absolute; busybox ln -s ../../../../../out/absolute /out/in/above
busybox ln -s in /out/folder; busybox ln -s ../../../../../etc/debian_version /out/outside
busybox ln -s /etc/debian_version /out/elsewhere; busybox ln -s /usr /out/usr
busybox ln -s loop /out/loop; busybox mkfifo /out/pipe; busybox ln -s pipe /out/piped
busybox truncate -s 257M /large; busybox truncate -s 16M /parts; busybox seq 2000000 >/numbers
busybox mkdir -p /jail/bin; busybox cp /bin/busybox /jail/bin
exec busybox chroot /jail /bin/busybox sh -c 'echo started; exec busybox sleep 300'"#;

async fn text(container: &Container<'_>, path: &str) -> Option<String> {
    let content = container.copy_out(path).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    content.map(|content| String::from_utf8(content).unwrap())
}

/// Everything that works on each engine. `other` is another container with a file at
/// `/scratch/file`.
pub async fn on_each(daemon: &Daemon, image: &LoadedImage<'_>, other: &Container<'_>) {
    let is_cri = daemon.docker().is_none();
    let sysctl = ("net.ipv4.ip_unprivileged_port_start".to_owned(), "77".to_owned());
    let settings = Settings {
        tmpfs: vec!["/scratch".into()],
        hostname: Some("inside".to_owned()),
        sysctls: [sysctl].into(),
        init: !is_cri,
        ..Settings::default()
    };
    let options = RunOptions { settings, ..shell(MAKE) };
    let ready = ReadyConditions::log("started");
    let container = image.start_ready(&options, &ready).await.unwrap();
    for path in ["/out/answer", "/out/absolute", "/out/in/above", "/out/folder/above"] {
        assert_eq!(text(&container, path).await.as_deref(), Some("answer\n"), "{path}");
    }
    assert_eq!(text(&container, "/out/- a\nb/ü").await.as_deref(), Some("odd\n"));
    for path in ["/absent", "/out/outside", "/out/elsewhere", "/out/usr/bin/perl", "/out/loop"] {
        assert_eq!(text(&container, path).await, None, "{path}");
    }
    let too_long = format!("/{}", "n".repeat(256));
    assert_eq!(text(&container, &too_long).await, None);
    for path in ["/out", "/out/folder", "/out/pipe", "/out/piped"] {
        let error = container.copy_out(path).await.unwrap_err().to_string();
        assert!(error.contains("it is not a regular file"), "{path}: {error}");
    }
    kernel_files(daemon, &container).await;
    let numbers: String = (1..=2_000_000).map(|number| format!("{number}\n")).collect();
    assert!(text(&container, "/numbers").await.unwrap() == numbers);
    assert_eq!(container.copy_out("/parts").await.unwrap().unwrap(), vec![0; 16 << 20]);
    let error = container.copy_out("/large").await.unwrap_err().to_string();
    assert!(error.ends_with("it is too large"), "{error}");
    // A command in the container is not its first process.
    let (_, mounted) = tokio::join!(copies_in(&container), text(&container, "/scratch/file"));
    assert_eq!(mounted.as_deref(), Some("mounted\n"));
    assert_eq!(text(other, "/scratch/file").await.as_deref(), Some("kept\n"));
    if is_cri {
        over_cri(container).await;
    } else {
        container.remove().await.unwrap();
    }
}

/// The kernel answers reads of these by the namespaces of the reader.
async fn kernel_files(daemon: &Daemon, container: &Container<'_>) {
    for (path, content) in [
        ("/proc/sys/kernel/hostname", "inside\n"),
        ("/proc/sys/net/ipv4/ip_unprivileged_port_start", "77\n"),
        ("/proc/self/comm", "perl\n"),
        ("/proc/1/cgroup", "0::/\n"),
    ] {
        assert_eq!(text(container, path).await.as_deref(), Some(content), "{path}");
    }
    let mounts = text(container, "/proc/mounts").await.unwrap();
    assert!(mounts.lines().any(|line| line.contains(" /scratch ")), "{mounts}");
    // The network of the guest has the engine's bridge.
    let devices = text(container, "/proc/net/dev").await.unwrap();
    let is_bridge = |text: &str| ["docker0", "podman0", "cni0"].iter().any(|it| text.contains(it));
    assert!(devices.contains("eth0") && !is_bridge(&devices), "{devices}");
    let of_guest = daemon.guest_run("/bin/cat", &["/proc/net/dev"], RUN_TIMEOUT).await.unwrap();
    assert!(is_bridge(&of_guest.stdout), "{}", of_guest.stdout);
}

/// Files are root's, replace what is there, and get below folders that are links.
async fn copies_in(container: &Container<'_>) {
    for path in ["/made/by/test", "/out/folder/- x\ny", "/out/absolute", "/out/pipe"] {
        container.copy_in(path, "made\n", 0o2640).await.unwrap();
        assert_eq!(text(container, path).await.as_deref(), Some("made\n"), "{path}");
    }
    container.copy_in("/out/answer", "", 0o604).await.unwrap();
    let script = "cd /out; busybox stat -c '%a %u %g %Y %F' /made/by/test in/- answer absolute pipe
        busybox stat -c '%a %u %g %F' /made /made/by";
    let script = script.replace("in/-", "'in/- x\ny'");
    let output = container.exec(&["/bin/sh", "-c", &script], RUN_TIMEOUT).await.unwrap();
    let made = "2640 0 0 0 regular file\n";
    let expected = [made, made, "604 0 0 0 regular empty file\n", made, made]
        .into_iter()
        .chain(["755 0 0 directory\n"; 2])
        .collect::<String>();
    assert_eq!(output.stdout, expected, "{output:?}");
}

/// Everything that is special over CRI.
async fn over_cri(container: Container<'_>) {
    let error = container.copy_in("/jail", "x", 0o644).await.unwrap_err().to_string();
    let expected = "failed to copy /jail into the container: File exists";
    assert!(error.starts_with(expected), "{error}");
    // Its first process ignores the signal.
    container.stop(Duration::from_secs(1)).await.unwrap();
    let problem = unsupported(container.copy_out("/numbers").await);
    assert!(problem.starts_with("the container has ended"), "{problem}");
    let problem = unsupported(container.copy_in("/x", "", 0o644).await);
    assert!(problem.starts_with("the container has ended"), "{problem}");
    container.remove().await.unwrap();
}
