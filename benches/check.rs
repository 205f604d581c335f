//! `ci/bench check [MIB] [RUNS] [ENGINE]`: how long `seatrial check` takes from an edit to the
//! verdict, and where the time goes, for a small image and for one on a large base, in a VM of its
//! own and in one that lives on, as with `--watch`. The fastest run counts: other programs only add
//! to it.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

const RECIPE: &str = "name = 'bench/app'\nfrom_image = 'base.tar'\ncontents = 'app'\n[config]\n\
    Env = ['PATH=/bin', 'A=b']\nEntrypoint = ['/bin/sh', '-c']\nCmd = ['cat /file']\n";
const EXPECTATIONS: &str = "[env]\nhas = { A = 'b' }\n[[file]]\npath = '/file'\n\
    [[run]]\nname = 'prints'\nstdout = { contains = 'hello' }\n";
/// The name of the VM that lives on.
const NAME: &str = "bench-check";
/// Bytes of a file in the base.
const FILE_SIZE: usize = 256 << 10;

/// The durations of a check in seconds.
struct Phases {
    total: f64,
    build: f64,
    restore: f64,
    load: f64,
    environment: f64,
    cases: f64,
}

fn seatrial(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    program.args(arguments).current_dir(folder).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = program.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", output.status);
    output.stdout
}

/// Creates a recipe on a base of `mib` MiB, half of which does not compress.
fn create(folder: &Path, mib: usize) {
    let bin = folder.join("base/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
    ["sh", "cat"].iter().for_each(|name| symlink("busybox", bin.join(name)).unwrap());
    fs::create_dir_all(folder.join("base/lib")).unwrap();
    let mut state = 1u32;
    for number in 0..(mib << 20) / FILE_SIZE {
        let mut bytes = vec![0; FILE_SIZE];
        for byte in &mut bytes[..FILE_SIZE / 2] {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            *byte = state as u8;
        }
        fs::write(folder.join(format!("base/lib/{number}")), bytes).unwrap();
    }
    fs::write(folder.join("base.toml"), "name = 'bench/base'\ntag = '1'\ncontents = 'base'\n")
        .unwrap();
    seatrial(folder, &["build", "base.toml", "-o", "base.tar"]);
    fs::create_dir(folder.join("app")).unwrap();
    fs::write(folder.join("app.toml"), RECIPE).unwrap();
    fs::write(folder.join("e.toml"), EXPECTATIONS).unwrap();
}

/// Checks the image in `place`: `--engine` and an engine, or `--vm` and the name of a VM.
fn check(folder: &Path, place: [&str; 2]) -> Phases {
    let begin = Instant::now();
    let arguments = [&["check", "app.toml", "--expect", "e.toml", "--json"], &place[..]].concat();
    let output = seatrial(folder, &arguments);
    let total = begin.elapsed().as_secs_f64();
    let verdict: Value = serde_json::from_slice(&output).unwrap();
    let run = &verdict["engine_runs"][0];
    let seconds = |named: &dyn Fn(&str) -> bool| -> f64 {
        let cases = verdict["cases"].as_array().unwrap().iter();
        let cases = cases.filter(|case| !case["engine"].is_null());
        cases
            .filter(|case| named(case["name"].as_str().unwrap()))
            .map(|case| case["seconds"].as_f64().unwrap())
            .sum()
    };
    let is_environment = |name: &str| name.starts_with("environment");
    let events = run["timeline"].as_array().unwrap();
    Phases {
        total,
        build: total - verdict["seconds"].as_f64().unwrap(),
        restore: events.last().map_or(0.0, |event| event["at"].as_f64().unwrap_or_default()),
        load: run["load_seconds"].as_f64().unwrap(),
        environment: seconds(&is_environment),
        cases: seconds(&|name| !is_environment(name)),
    }
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let number = |index: usize, default: usize| {
        arguments.get(index).and_then(|word| word.parse().ok()).unwrap_or(default)
    };
    let (mib, runs) = (number(0, 171), number(1, 3));
    let engine = arguments.get(2).map_or("docker-20.10", String::as_str);
    println!(
        "{engine}; load of this host: {}",
        fs::read_to_string("/proc/loadavg").unwrap().trim()
    );
    let columns = ["total", "build", "restore", "load", "environ.", "cases"];
    println!("{:<30}{}", "seconds", columns.map(|column| format!("{column:>9}")).concat());
    for mib in [0, mib] {
        let folder = TempDir::new().unwrap();
        create(folder.path(), mib);
        let mut edits = 0..;
        let mut run = |edit: bool, place: [&str; 2]| {
            if edit {
                let text = format!("hello {} {:?}\n", edits.next().unwrap(), folder.path());
                fs::write(folder.path().join("app/file"), text).unwrap();
            }
            check(folder.path(), place)
        };
        let own = ["--engine", engine];
        print(mib, "first", run(true, own));
        for (label, edit) in [("one file changed", true), ("unchanged", false)] {
            print_best(mib, label, (0..runs).map(|_| run(edit, own)));
        }
        let kept = KeptVm::start(folder.path(), engine);
        run(true, ["--vm", NAME]);
        print_best(mib, "changed, VM lives on", (0..runs).map(|_| run(true, ["--vm", NAME])));
        drop(kept);
    }
}

/// The VM that lives on.
struct KeptVm<'a>(&'a Path);

impl<'a> KeptVm<'a> {
    fn start(folder: &'a Path, engine: &str) -> Self {
        seatrial(folder, &["vm", "up", engine, "--name", NAME]);
        Self(folder)
    }
}

impl Drop for KeptVm<'_> {
    fn drop(&mut self) {
        seatrial(self.0, &["vm", "down", NAME]);
    }
}

fn print_best(mib: usize, label: &str, all: impl Iterator<Item = Phases>) {
    if let Some(best) = all.min_by(|a, b| a.total.total_cmp(&b.total)) {
        print(mib, label, best);
    }
}

fn print(mib: usize, label: &str, phases: Phases) {
    let Phases { total, build, restore, load, environment, cases } = phases;
    let columns = [total, build, restore, load, environment, cases];
    let columns = columns.map(|seconds| format!("{seconds:>9.2}")).concat();
    println!("{:<30}{columns}", format!("{mib} MiB, {label}"));
}
