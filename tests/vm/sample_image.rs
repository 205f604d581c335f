//! A sample image with a bit of everything, and `seatrial check` on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use seatrial::archive::ImageSelector;
use seatrial::check::{Expectations, ImageUnderTest, Outcome, TestCase};
use serde_json::Value;
use tempfile::TempDir;

use crate::workbench::run;

/// A folder with a recipe `app.toml`, its files, and the archive `app.tar`.
pub struct SampleImage(pub TempDir);

pub const RECIPE: &str = r#"
name = "sample/app"
tag = "1.0"
architecture = "amd64"
contents = "rootfs"
[config]
Env = ["PATH=/bin", "VERSION=1.2.3"]
Entrypoint = ["/bin/sh", "-c"]
Cmd = ["echo hello"]
User = "7:8"
WorkingDir = "/www"
ExposedPorts = { "80/tcp" = {} }
Volumes = { "/data" = {} }
StopSignal = "SIGTERM"
Shell = ["/bin/sh"]
Labels = { team = "deck" }
Healthcheck = { Test = ["CMD", "/bin/true"] }
"#;

impl SampleImage {
    pub fn new() -> Self {
        let sample = Self(TempDir::new().unwrap());
        std::fs::create_dir_all(sample.path("rootfs/bin")).unwrap();
        std::fs::create_dir_all(sample.path("rootfs/www")).unwrap();
        std::fs::copy("/bin/busybox", sample.path("rootfs/bin/busybox")).unwrap();
        for applet in ["sh", "cat", "echo", "sleep", "true", "httpd", "id"] {
            std::os::unix::fs::symlink("busybox", sample.path("rootfs/bin").join(applet)).unwrap();
        }
        std::fs::write(sample.path("rootfs/www/index.html"), "<h1>ahoy</h1>\n").unwrap();
        std::fs::write(sample.path("app.toml"), RECIPE).unwrap();
        sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
        sample
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program in the folder.
    pub fn seatrial(&self, arguments: &[&str]) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_seatrial"));
        run(program.args(arguments).current_dir(self.0.path()))
    }

    /// Runs the static checks of `expectations` on `app.tar`, and returns a line for each mismatch.
    pub fn static_mismatches(&self, expectations: &str) -> Vec<String> {
        let expected = Expectations::parse(Path::new("e.toml"), expectations)
            .unwrap_or_else(|error| panic!("{expectations}: {error}"));
        self.mismatches_of(&expected)
    }

    /// The same, for expectations that are not text.
    pub fn mismatches_of(&self, expected: &Expectations) -> Vec<String> {
        let image =
            ImageUnderTest::open(&self.path("app.tar"), &ImageSelector::default(), 2).unwrap();
        let cases = image.static_checks(expected, self.0.path()).unwrap();
        cases.iter().flat_map(mismatches).collect()
    }

    /// Runs `seatrial check` on `app.tar`, and returns its output and the verdict.
    pub fn check(&self, expectations: &str, arguments: &[&str]) -> (Output, Value) {
        std::fs::write(self.path("e.toml"), expectations).unwrap();
        let output = self
            .seatrial(&[&["check", "app.tar", "--expect", "e.toml", "--json"], arguments].concat());
        let verdict =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
        (output, verdict)
    }
}

/// Returns the names and results of a verdict's test cases.
pub fn outcomes(verdict: &Value) -> Vec<(&str, &str)> {
    let cases = verdict["cases"].as_array().unwrap().iter();
    cases.map(|case| (case["name"].as_str().unwrap(), case["outcome"].as_str().unwrap())).collect()
}

fn mismatches(case: &TestCase) -> Vec<String> {
    let Outcome::Failed { mismatches } = &case.outcome else { return Vec::new() };
    let line = |check: &seatrial::check::verdict::Check| {
        let (subject, expected, found) = (&check.subject, &check.expected, &check.found);
        format!("{}: {subject}: expected {expected}, found {found}", case.name)
    };
    mismatches.iter().map(line).collect()
}
