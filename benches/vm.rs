//! Measures machines: booted, restored, several at once, what they take, how long a container runs. Beside them, in the
//! same run, the least that QEMU takes: to start with an empty machine and answer.
//!
//! Run it with `ci/bench vm`.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use seatrial::engine::RunOptions;
use seatrial::harness::Daemon;
use seatrial::vm::Options;

const GUEST: &str = "docker-20.10";
const RECIPE: &str =
    "name='tiny'\ntag='1'\ncontents='rootfs'\n[config]\nCmd=['/bin/busybox', 'true']\n";

async fn start(cold: bool) -> Daemon {
    let options = Options { cold, skip_slot_queue: true, ..Options::default() };
    let daemon = Daemon::start(GUEST, options).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(daemon.fallback(), None);
    daemon
}

fn ready(daemon: &Daemon) -> Duration {
    daemon.timeline().events().last().unwrap().at
}

/// Until an empty QEMU answers on its monitor.
fn floor() -> Duration {
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join("qmp");
    let monitor = format!("unix:{},server=on,wait=off", socket.display());
    let arguments = [
        "-machine",
        "none",
        "-display",
        "none",
        "-nodefaults",
        "-no-user-config",
        "-qmp",
        &monitor,
    ];
    let begin = Instant::now();
    let mut qemu =
        Command::new("qemu-system-x86_64").args(arguments).stdin(Stdio::null()).spawn().unwrap();
    let mut stream = loop {
        match UnixStream::connect(&socket) {
            Ok(stream) => break stream,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    std::io::Read::read_exact(&mut stream, &mut [0]).unwrap();
    let took = begin.elapsed();
    qemu.kill().unwrap();
    qemu.wait().unwrap();
    took
}

/// Median and 95th percentile, in seconds.
fn of(times: &mut [Duration]) -> (f64, f64) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize].as_secs_f64();
    (at(0.5), at(0.95))
}

fn row(what: &str, times: &mut [Duration]) {
    let ((median, p95), count) = (of(times), times.len());
    println!("{what:<44}{median:8.3} s   p95 {p95:7.3} s   n {count}");
}

/// The proportional share of memory that a process takes, in MiB.
fn pss(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().split(' ').next().unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::main]
async fn main() {
    // `cargo bench` passes its own arguments; the number of runs is ours.
    let runs: usize = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(20);
    drop(start(false).await);

    row("QEMU alone answers", &mut (0..runs).map(|_| floor()).collect::<Vec<_>>());

    let mut restored = Vec::new();
    let mut steps: Vec<(String, Vec<Duration>)> = Vec::new();
    for _ in 0..runs {
        let daemon = start(false).await;
        restored.push(ready(&daemon));
        for event in daemon.timeline().events() {
            match steps.iter_mut().find(|(what, _)| *what == event.what) {
                Some((_, times)) => times.push(event.at),
                None => steps.push((event.what.clone(), vec![event.at])),
            }
        }
    }
    row("restored: QEMU's start to handed over", &mut restored);
    steps.iter_mut().for_each(|(what, times)| row(&format!("  {what}"), times));

    let (mut four, mut idle) = (Vec::new(), 0);
    for _ in 0..runs.div_ceil(5) {
        let begin = Instant::now();
        let daemons = tokio::join!(start(false), start(false), start(false), start(false));
        four.push(begin.elapsed());
        let (a, b, c, d) = &daemons;
        idle = [a, b, c, d].map(|daemon| pss(daemon.vm().pid())).into_iter().max().unwrap();
    }
    row("four restored at once, the last one ready", &mut four);

    let folder = tempfile::TempDir::new().unwrap();
    std::fs::create_dir_all(folder.path().join("rootfs/bin")).unwrap();
    std::fs::copy("/bin/busybox", folder.path().join("rootfs/bin/busybox")).unwrap();
    let (mut first, mut second, mut busy) = (Vec::new(), Vec::new(), 0);
    for _ in 0..runs.div_ceil(5) {
        let (daemon, _other) = (start(false).await, start(false).await);
        let recipe =
            seatrial::build::Recipe::parse(&folder.path().join("recipe.toml"), RECIPE).unwrap();
        let image = daemon.load_recipe(recipe).await.unwrap();
        for (times, is_first) in [(&mut first, true), (&mut second, false)] {
            let begin = Instant::now();
            let output = image.run(&RunOptions::default(), Duration::from_secs(60)).await.unwrap();
            assert_eq!(output.code, 0);
            times.push(begin.elapsed());
            if is_first {
                busy = busy.max(pss(daemon.vm().pid()));
            }
        }
    }
    row("a container made, run and removed, first", &mut first);
    row("  second", &mut second);
    println!(
        "memory a restored machine adds (PSS)         {idle} MiB ready, one of four; {busy} MiB after a container, one of two"
    );

    let mut booted = Vec::new();
    for _ in 0..runs.div_ceil(7) {
        booted.push(ready(&start(true).await));
    }
    row("booted: QEMU's start to ready", &mut booted);
}
