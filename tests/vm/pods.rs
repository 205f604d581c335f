//! Pods of containerd: what a kubelet's defaults, and Linux, give to a container in them. The
//! expected values are those of `docs/engines.md`.

use std::fs;
use std::time::Duration;

use seatrial::engine::{EngineError, ExecOptions, OutOfMemory, RunOptions, RunOutput};

use crate::workbench::{RUN_TIMEOUT, Workbench};

const NODE: &str = "containerd-1.7";
/// Kubernetes ignores the group of an image's user.
const RECIPE: &str = "name='pod'\ntag='1'\ncontents='rootfs'\n[config]\nUser='app:3000'\n";

/// A node, and a recipe of an image with accounts.
async fn node() -> Workbench {
    let bench = Workbench::on(NODE).await;
    fs::create_dir(bench.path("rootfs/etc")).unwrap();
    fs::write(
        bench.path("rootfs/etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/:/bin/sh\n",
    )
    .unwrap();
    let groups = "root:x:0:\napp:x:1001:\nextra:x:2000:app\nother:x:3000:\n";
    fs::write(bench.path("rootfs/etc/group"), groups).unwrap();
    bench
}

fn shell(script: &str) -> RunOptions {
    RunOptions::command(&["/bin/busybox", "sh", "-c", script])
}

async fn run(bench: &Workbench, options: &RunOptions) -> RunOutput {
    bench.daemon.engine().run("pod:1", options, RUN_TIMEOUT).await.unwrap()
}

/// Commands that print what a container has, and their output in a pod.
const FACTS: [(&str, &str); 11] = [
    ("echo $$", "1"),
    // The kernel ignores signals that PID 1 does not handle, as it does outside of containers.
    ("kill -ABRT $$; echo survived", "survived"),
    ("(exec /bin/busybox sh -c 'kill -ABRT $$') 2>/dev/null; echo $?", "134"),
    ("id", "uid=1000(app) gid=1001(app) groups=1001(app),2000(extra)"),
    ("/bin/busybox hostname; echo $HOSTNAME", "seatrial\nseatrial"),
    ("cat /proc/self/oom_score_adj", "1000"),
    ("/bin/busybox head -c 1 /proc/kcore | /bin/busybox wc -c", "0"),
    (
        "/bin/busybox grep -Eo ' /proc/(bus|sys) proc r[ow],' /proc/mounts",
        " /proc/bus proc ro,\n /proc/sys proc ro,",
    ),
    ("/bin/busybox grep Seccomp: /proc/self/status", "Seccomp:\t0"),
    ("cat /sys/fs/cgroup/cpu.weight", "1"),
    ("cat /etc/resolv.conf", "nameserver 10.0.2.3"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_container_has_what_a_kubelet_gives_it_and_its_command_is_pid_1() {
    let bench = node().await;
    bench.load(RECIPE).await;
    let script = FACTS.map(|(command, _)| format!("echo '> '; {command}\n")).concat();
    let output = run(&bench, &shell(&script)).await;
    let found: Vec<&str> = output.stdout.split("> \n").skip(1).map(str::trim_end).collect();
    assert_eq!(found.len(), FACTS.len(), "{output:?}");
    for ((command, expected), found) in FACTS.iter().zip(found) {
        assert_eq!(found, *expected, "{command}\n{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "for the nightly run"]
async fn standard_input_arrives_and_output_is_exact_except_for_what_containerd_removes() {
    let bench = node().await;
    bench.load(RECIPE).await;
    let long = "0123456789abcde\n".repeat(20_000);
    let count = RunOptions { stdin: Some(long.clone()), ..shell("exec /bin/busybox md5sum") };
    let output = run(&bench, &count).await;
    // yes 0123456789abcde | head -n 20000 | md5sum
    let digest = "71c284bece05ddaa099ffad2854c2f2a  -\n";
    assert_eq!((output.stdout.as_str(), output.code), (digest, 0), "{output:?}");

    // A command that does not read all of its standard input.
    let exits = RunOptions { stdin: Some(long), ..shell("read line; echo $line; exit 7") };
    let output = run(&bench, &exits).await;
    assert_eq!((output.stdout.as_str(), output.code), ("0123456789abcde\n", 7), "{output:?}");

    let text = r"printf 'a\r\n1%%\r2%%\r\r\n\n x \nend\r'";
    let prints = run(&bench, &shell(text)).await;
    assert_eq!(prints.stdout, "a\n1%\r2%\r\n\n x \nend\r");

    // containerd breaks long lines into pieces of 16 KiB, and some characters with them.
    let euros = shell("x=€; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do x=$x$x; done; echo -n $x");
    assert_eq!(run(&bench, &euros).await.stdout, "€".repeat(1 << 13));

    let sleeps = bench.daemon.engine().start("pod:1", &shell("exec sleep 300")).await.unwrap();
    let command = ["/bin/busybox", "sh", "-c", text].map(str::to_owned);
    let prints = sleeps.exec(&ExecOptions::command(command), RUN_TIMEOUT).await.unwrap();
    assert_eq!(prints.stdout, "a\r\n1%\r2%\r\r\n\n x \nend\r");
    let hangs = ["/bin/busybox", "sleep", "300"].map(str::to_owned);
    let error =
        sleeps.exec(&ExecOptions::command(hangs), Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, EngineError::StillRunning { .. }), "{error}");
    sleeps.remove().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_followed_has_every_byte_but_what_containerd_removes() {
    let bench = node().await;
    bench.load(RECIPE).await;
    // All bytes, more than are read at once, and without a newline at the end.
    let script = "for a in 0 1 2 3; do for b in 0 1 2 3 4 5 6 7; do for c in 0 1 2 3 4 5 6 7; do \
                  x=$x\\\\$a$b$c; done; done; done; \
                  for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do x=$x$x; done; printf \"$x\"";
    let container = bench.daemon.engine().start("pod:1", &shell(script)).await.unwrap();
    let (mut logs, mut found) = (container.follow_logs(), Vec::new());
    while let Some(chunk) = logs.next().await {
        found.extend_from_slice(chunk.unwrap().bytes());
    }
    container.remove().await.unwrap();
    let expected: Vec<u8> = (0..=255).cycle().take(256 << 13).collect();
    assert!(found == expected, "{} of {} bytes", found.len(), expected.len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "for the nightly run"]
async fn a_container_that_uses_all_memory_is_killed_and_the_node_goes_on() {
    let bench = node().await;
    let image = bench.load(RECIPE).await;
    let eat = shell("x=0123456789abcdef; while :; do x=$x$x; done");
    let output = image.run(&eat, Duration::from_secs(120)).await.unwrap();
    assert_eq!(output.code, 137, "{output:?}");
    assert_eq!(output.out_of_memory, Some(OutOfMemory::Host));
    let output = run(&bench, &shell("echo fine")).await;
    assert_eq!(output.stdout, "fine\n");
    let failed = bench.guest("systemctl --failed --no-legend").await;
    assert_eq!(failed, "", "units that failed");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "for the nightly run"]
async fn an_image_that_replaces_another_one_of_its_name_is_the_one_that_runs() {
    let bench = node().await;
    for version in ["one", "two"] {
        let recipe = format!("{RECIPE}Env=['VERSION={version}']\n");
        bench.build(&recipe, version);
    }
    // CRI notices an import a little later.
    for version in ["one", "two", "one", "two"] {
        let image = bench.daemon.load_archive(&bench.path(version), "pod:1").await.unwrap();
        assert_eq!(image.config_env().await.unwrap(), [format!("VERSION={version}")]);
        let output = image.run(&shell("echo $VERSION"), RUN_TIMEOUT).await.unwrap();
        assert_eq!(output.stdout, format!("{version}\n"));
    }
}
