//! Files copied out of containers: cases of the test in `containers`.

use seatrial::conditions::ReadyConditions;
use seatrial::engine::{RunOptions, Settings};
use seatrial::harness::{Container, LoadedImage};

use crate::containers::{shell, unsupported};
use crate::workbench::RUN_TIMEOUT;

/// Makes files and links, some of which lead out of the container to files that guests have.
const MAKE: &str = r#"
busybox mkdir -p /out/in "/out/- a
b"; echo answer >/out/answer; echo odd >"/out/- a
b/ü"; echo mounted >/scratch/file
busybox ln -s /out/answer /out/absolute; busybox ln -s ../../../../../out/absolute /out/in/above
busybox ln -s in /out/folder; busybox ln -s ../../../../../etc/debian_version /out/outside
busybox ln -s /etc/debian_version /out/elsewhere; busybox ln -s /usr /out/usr
busybox ln -s loop /out/loop; busybox mkfifo /out/pipe; busybox ln -s pipe /out/piped
echo started; exec sleep 300"#;

async fn text(container: &Container<'_>, path: &str) -> Option<String> {
    let content = container.copy_out(path).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    content.map(|content| String::from_utf8(content).unwrap())
}

async fn start<'d>(image: &LoadedImage<'d>, script: &str) -> Container<'d> {
    let settings = Settings { tmpfs: vec!["/scratch".into()], ..Settings::default() };
    let options = RunOptions { settings, ..shell(script) };
    image.start_ready(&options, &ReadyConditions::log("started")).await.unwrap()
}

/// Everything that works on each engine.
pub async fn on_each(image: &LoadedImage<'_>, is_cri: bool) {
    let container = start(image, MAKE).await;
    for path in ["/out/answer", "/out/absolute", "/out/in/above", "/out/folder/above"] {
        assert_eq!(text(&container, path).await.as_deref(), Some("answer\n"), "{path}");
    }
    assert_eq!(text(&container, "/out/- a\nb/ü").await.as_deref(), Some("odd\n"));
    for path in ["/absent", "/out/outside", "/out/elsewhere", "/out/usr/bin/perl"] {
        assert_eq!(text(&container, path).await, None, "{path}");
    }
    for path in ["/out", "/out/folder", "/out/pipe", "/out/piped"] {
        let error = container.copy_out(path).await.unwrap_err().to_string();
        assert!(error.contains("it is not a regular file"), "{path}: {error}");
    }
    assert_eq!(container.copy_out("/out/loop").await.unwrap(), None);
    copies_in(&container).await;
    // Docker's API has only the files of the container itself and of its volumes.
    let mounted = text(&container, "/scratch/file").await;
    assert!(mounted.as_deref() == Some("mounted\n") || !is_cri && mounted.is_none(), "{mounted:?}");
    container.remove().await.unwrap();
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
pub async fn over_cri(image: &LoadedImage<'_>) {
    let script = "busybox truncate -s 257M /large; busybox truncate -s 16M /parts
        busybox seq 2000000 >/numbers
        busybox mkdir -p /jail/bin; busybox cp /bin/busybox /jail/bin
        exec busybox chroot /jail /bin/busybox sh -c 'echo started; exec busybox sleep 300'";
    let container = start(image, script).await;
    // The root of the container, also if the process has moved to another one.
    let numbers: String = (1..=2_000_000).map(|number| format!("{number}\n")).collect();
    assert!(text(&container, "/numbers").await.unwrap().trim_end() == numbers.trim_end());
    assert_eq!(container.copy_out("/parts").await.unwrap().unwrap(), vec![0; 16 << 20]);
    let error = container.copy_out("/large").await.unwrap_err().to_string();
    assert!(error.ends_with("it is too large"), "{error}");
    assert_eq!(text(&container, "/proc/sys/kernel/ostype").await.as_deref(), Some("Linux\n"));
    let error = container.copy_in("/jail", "x", 0o644).await.unwrap_err().to_string();
    let expected = "failed to copy /jail into the container: File exists";
    assert!(error.starts_with(expected), "{error}");
    container.stop(RUN_TIMEOUT).await.unwrap();
    let problem = unsupported(container.copy_out("/numbers").await);
    assert!(problem.starts_with("the container has ended"), "{problem}");
    let problem = unsupported(container.copy_in("/x", "", 0o644).await);
    assert!(problem.starts_with("the container has ended"), "{problem}");
    container.remove().await.unwrap();
}
