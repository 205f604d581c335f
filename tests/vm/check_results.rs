//! `seatrial check`: which test cases run, are skipped or are errors, and the exit codes.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::sample_image::{SampleImage, outcomes};
use crate::workbench::run;

#[test]
fn without_an_engine_runtime_checks_are_skipped_with_the_reason() {
    let sample = SampleImage::new();
    let expectations = "[[run]]\nname='x'\n[[service]]\nname='y'\nready={}\n";
    let (output, verdict) = sample.check(expectations, &["--no-vm"]);
    assert_eq!(output.status.code(), Some(0));
    let skipped: Vec<&str> = verdict["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["outcome"] == "skipped" && case["reason"] == "no engine was selected")
        .map(|case| case["name"].as_str().unwrap())
        .collect();
    let expected =
        ["loads with the expected name", "environment of a container", "run x", "service y"];
    assert_eq!(skipped, expected);
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_before_anything_runs() {
    let sample = SampleImage::new();
    std::fs::write(sample.path("e.toml"), "[image]\narchitecture='amd64'\n").unwrap();
    let report = "html=absent/report.html";
    let check = ["check", "app.tar", "--expect", "e.toml", "--no-vm", "--report", report];
    let output = sample.seatrial(&check);
    assert!(matches!(output.status.code(), Some(2 | 3)), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("absent/report.html"), "{output:?}");
}

#[test]
fn a_filter_that_selects_no_test_case_is_bad_input_and_the_names_are_listed() {
    let sample = SampleImage::new();
    std::fs::write(sample.path("e.toml"), "[[run]]\nname='greets'\n").unwrap();
    let arguments = ["check", "app.tar", "--expect", "e.toml", "--no-vm", "--filter", "greats"];
    let output = sample.seatrial(&arguments);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = "seatrial: no test case has a name that contains \"greats\"; the test cases are: \
                 environment of the config, loads with the expected name, \
                 environment of a container, run greets\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), error);
}

#[test]
fn a_filter_that_selects_static_checks_alone_needs_no_engine() {
    let sample = SampleImage::new();
    let text = "[container.other]\nready = {}\n[[setup]]\n[[file]]\npath = '/bin/sh'\n";
    std::fs::write(sample.path("e.toml"), text).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    check.args(["check", "app.tar", "--expect", "e.toml", "--json", "--filter", "file"]);
    // Without QEMU, an engine would be an error.
    let output = run(check.current_dir(sample.path("")).env("PATH", sample.path("")));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcomes(&verdict), [("file /bin/sh", "passed")]);
    assert_eq!(verdict["engine_runs"], serde_json::json!([]));
}

#[test]
fn a_failed_static_check_ends_with_exit_code_1_even_without_an_engine() {
    let sample = SampleImage::new();
    let (output, _) = sample.check("[image]\narchitecture='s390x'\n", &["--no-vm"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_reproducible_build_passes_for_a_recipe_and_is_skipped_for_an_archive() {
    let sample = SampleImage::new();
    std::fs::write(sample.path("e.toml"), "[image]\nreproducible=true\n").unwrap();
    let images = ["check", "app.toml", "app.tar", "--expect", "e.toml", "--no-vm", "--json"];
    let output = sample.seatrial(&images);
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    let builds: Vec<(&str, &str)> =
        outcomes(&verdict).into_iter().filter(|(name, _)| *name == "reproducible build").collect();
    let expected = [("reproducible build", "passed"), ("reproducible build", "skipped")];
    assert_eq!(builds, expected, "{verdict:#}");
}

#[test]
fn an_engine_that_cannot_be_started_is_an_error_whatever_the_filter_selects() {
    let sample = SampleImage::new();
    std::fs::write(sample.path("e.toml"), "[[run]]\nname='x'\nstdout=''\n").unwrap();
    let arguments = ["check", "app.tar", "--expect", "e.toml", "--filter", "run x", "--json"];
    let cache = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    // Without programs, a guest cannot be assembled.
    command.env("PATH", "/nowhere").env("XDG_CACHE_HOME", cache.path());
    let output = run(command.args(arguments).current_dir(sample.0.path()));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdict["cases"][0]["outcome"], "error");
}
