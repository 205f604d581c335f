//! Builds with steps that are killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::lab::Lab;
use crate::steps::{build, lab, recipe, with_command};

#[test]
fn a_build_that_is_killed_at_any_moment_leaves_nothing_and_the_next_one_is_right() {
    let lab = lab();
    let steps: String = (1..=3)
        .map(|step| {
            format!(
                "[[run]]\ncommand = '''i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i
                 echo {step} > /made-{step}-$i; done; chown 7:8 /made-{step}-1'''\n"
            )
        })
        .collect();
    let whole = build(&lab, &recipe(&steps), &["--no-cache"]);
    let lines = whole.stderr().lines().count();
    whole.ok();
    let expected = fs::read(lab.path("out.tar")).unwrap();
    for attempt in 0..12 {
        let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), attempt);
        let (signal, line) = (["KILL", "TERM", "INT"][attempt % 3], random as usize % lines);
        fs::remove_file(lab.path("out.tar")).unwrap();
        // A job in the background may ignore SIGINT, which programs inherit.
        let mut command = lab.command("env");
        command.args(["--default-signal", env!("CARGO_BIN_EXE_seatrial")]);
        command.args(["build", "recipe.toml", "-o", "out.tar"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut printed = BufReader::new(child.stderr.take().unwrap()).lines().skip(line);
        printed.next();
        let id = child.id().to_string();
        // It may have ended.
        let _ = Command::new("kill").args(["-s", signal, &id]).stderr(Stdio::null()).status();
        child.wait().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Some(left) = left_over(&lab) {
            assert!(Instant::now() < deadline, "{signal} at line {line}: {left}");
            std::thread::yield_now();
        }
        build(&lab, &recipe(&steps), &[]).ok();
        let built = fs::read(lab.path("out.tar")).unwrap();
        assert!(built == expected, "the next build differs: {signal} at line {line}");
        // The next one runs its steps again.
        fs::remove_dir_all(lab.cache_path("seatrial/steps/results")).unwrap();
    }
}

/// Describes a working folder, or a process with a mount of it, that a build has left.
fn left_over(lab: &Lab) -> Option<String> {
    if let Some(path) = lab.cached_files("steps/work").first() {
        return Some(path.display().to_string());
    }
    let work = lab.cache_path("seatrial/steps/work");
    let has_mount = |process: &std::path::Path| {
        let mounts = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
        mounts.contains(&*work.to_string_lossy())
    };
    let mut processes = fs::read_dir("/proc").unwrap().flatten().map(|process| process.path());
    processes.find(|process| has_mount(process)).map(|process| process.display().to_string())
}

#[test]
fn a_killed_build_leaves_no_process_and_no_working_folder() {
    let lab = lab();
    for signal in ["KILL", "TERM", "INT"] {
        lab.file("recipe.toml", with_command("echo > /file; echo runs; sleep 98765", ""));
        // A job in the background may ignore SIGINT, which programs inherit.
        let mut command = lab.command("env");
        command.args(["--default-signal", env!("CARGO_BIN_EXE_seatrial")]);
        command.args(["build", "recipe.toml", "-o", "out.tar", "--no-cache"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line == "  runs"));
        assert_ne!(lab.cached_files("steps/work"), [""; 0].map(std::path::PathBuf::from));
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        child.wait().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !lab.cached_files("steps/work").is_empty() || is_running("98765") {
            assert!(Instant::now() < deadline, "{signal}: {:?}", lab.cached_files("steps/work"));
            std::thread::yield_now();
        }
        assert!(!lab.exists("out.tar"));
    }
}

/// Whether a process has the argument `text`.
fn is_running(text: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let commands = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    commands
        .into_iter()
        .any(|command| command.split(|byte| *byte == 0).any(|argument| argument == text.as_bytes()))
}
