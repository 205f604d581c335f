//! `ci/bench vm [RUNS]`: how long VMs take to boot, to be restored alone and four at once, and to
//! run a container, and how much memory they need. For comparison, also how long QEMU takes to
//! start an empty machine and answer.

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
const DEFAULT_RUNS: usize = 20;
const RUN_TIMEOUT: Duration = Duration::from_secs(60);

async fn start(cold: bool) -> Daemon {
    let options = Options { cold, skip_slot_queue: true, ..Options::default() };
    let daemon = Daemon::start(GUEST, options).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(daemon.fallback(), None);
    daemon
}

fn time_to_ready(daemon: &Daemon) -> Duration {
    daemon.timeline().events().last().unwrap().at
}

/// Measures the time until an empty QEMU answers on its monitor.
fn empty_qemu() -> Duration {
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join("qmp");
    let monitor = format!("unix:{},server=on,wait=off", socket.display());
    let arguments = ["-machine", "none", "-display", "none", "-nodefaults", "-no-user-config"];
    let mut command = Command::new("qemu-system-x86_64");
    command.args(arguments).args(["-qmp", &monitor]).stdin(Stdio::null());
    let start = Instant::now();
    let mut qemu = command.spawn().unwrap();
    let mut stream = loop {
        match UnixStream::connect(&socket) {
            Ok(stream) => break stream,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    std::io::Read::read_exact(&mut stream, &mut [0]).unwrap();
    let elapsed = start.elapsed();
    qemu.kill().unwrap();
    qemu.wait().unwrap();
    elapsed
}

fn print_row(name: &str, times: &mut [Duration]) {
    times.sort();
    let percentile =
        |share: f64| times[((times.len() - 1) as f64 * share).round() as usize].as_secs_f64();
    let (median, p95, count) = (percentile(0.5), percentile(0.95), times.len());
    println!("{name:<44}{median:8.3} s   p95 {p95:7.3} s   n {count}");
}

/// The proportional share of memory (PSS) of a process, in MiB.
fn pss_mib(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().split(' ').next().unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::main]
async fn main() {
    // `cargo bench` adds arguments of its own.
    let runs = std::env::args().filter_map(|word| word.parse().ok()).next();
    let runs: usize = runs.unwrap_or(DEFAULT_RUNS);
    drop(start(false).await);
    print_row("QEMU alone answers", &mut (0..runs).map(|_| empty_qemu()).collect::<Vec<_>>());
    restored(runs).await;
    let idle_mib = four_at_once(runs.div_ceil(5)).await;
    let busy_mib = containers(runs.div_ceil(5)).await;
    println!(
        "memory of a restored VM (PSS)                {idle_mib} MiB ready, one of four; \
         {busy_mib} MiB after a container, one of two"
    );
    let mut booted = Vec::new();
    for _ in 0..runs.div_ceil(7) {
        booted.push(time_to_ready(&start(true).await));
    }
    print_row("booted: start of QEMU to ready", &mut booted);
}

async fn restored(runs: usize) {
    let mut ready = Vec::new();
    let mut steps: Vec<(String, Vec<Duration>)> = Vec::new();
    for _ in 0..runs {
        let daemon = start(false).await;
        ready.push(time_to_ready(&daemon));
        for event in daemon.timeline().events() {
            match steps.iter_mut().find(|(what, _)| *what == event.what) {
                Some((_, times)) => times.push(event.at),
                None => steps.push((event.what.clone(), vec![event.at])),
            }
        }
    }
    print_row("restored: start of QEMU to ready", &mut ready);
    steps.iter_mut().for_each(|(what, times)| print_row(&format!("  {what}"), times));
}

/// Returns the memory of a ready VM.
async fn four_at_once(runs: usize) -> u64 {
    let (mut times, mut idle_mib) = (Vec::new(), 0);
    for _ in 0..runs {
        let begin = Instant::now();
        let daemons = tokio::join!(start(false), start(false), start(false), start(false));
        times.push(begin.elapsed());
        let (a, b, c, d) = &daemons;
        let memory = [a, b, c, d].map(|daemon| pss_mib(daemon.vm().pid()));
        idle_mib = memory.into_iter().max().unwrap();
    }
    print_row("four restored at once, all ready", &mut times);
    idle_mib
}

/// Returns the memory of a VM after its first container.
async fn containers(runs: usize) -> u64 {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::create_dir_all(folder.path().join("rootfs/bin")).unwrap();
    std::fs::copy("/bin/busybox", folder.path().join("rootfs/bin/busybox")).unwrap();
    let (mut first, mut second, mut busy_mib) = (Vec::new(), Vec::new(), 0);
    for _ in 0..runs {
        let (daemon, _other) = (start(false).await, start(false).await);
        let path = folder.path().join("recipe.toml");
        let recipe = seatrial::build::Recipe::parse(&path, RECIPE).unwrap();
        let image = daemon.load_recipe(recipe).await.unwrap();
        for (times, is_first) in [(&mut first, true), (&mut second, false)] {
            let begin = Instant::now();
            let output = image.run(&RunOptions::default(), RUN_TIMEOUT).await.unwrap();
            assert_eq!(output.code, 0);
            times.push(begin.elapsed());
            if is_first {
                busy_mib = busy_mib.max(pss_mib(daemon.vm().pid()));
            }
        }
    }
    print_row("container created, run, removed: first", &mut first);
    print_row("  second", &mut second);
    busy_mib
}
