//! The workbench of `seatrial check`: an image with a bit of everything.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use seatrial::archive::ImageSelector;
use seatrial::check::ImageUnderTest;
use seatrial::check::{Expectations, Outcome, TestCase};
use serde_json::Value;
use tempfile::TempDir;

pub struct Desk(pub TempDir);

pub const RECIPE: &str = r#"
name = "desk/app"
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

impl Desk {
    pub fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        std::fs::create_dir_all(desk.path("rootfs/bin")).unwrap();
        std::fs::create_dir_all(desk.path("rootfs/www")).unwrap();
        std::fs::copy("/bin/busybox", desk.path("rootfs/bin/busybox")).unwrap();
        for applet in ["sh", "cat", "echo", "sleep", "true", "httpd", "id"] {
            std::os::unix::fs::symlink("busybox", desk.path("rootfs/bin").join(applet)).unwrap();
        }
        std::fs::write(desk.path("rootfs/www/index.html"), "<h1>ahoy</h1>\n").unwrap();
        std::fs::write(desk.path("app.toml"), RECIPE).unwrap();
        desk.seatrial(&["build", "app.toml", "-o", "app.tar"]);
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn seatrial(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_seatrial"))
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    /// What does not pass, line by line, of the expectations `text`, by the archive alone.
    pub fn mismatches(&self, text: &str) -> Vec<String> {
        let subject =
            ImageUnderTest::open(&self.path("app.tar"), &ImageSelector::default(), 2).unwrap();
        let expected = Expectations::parse(Path::new("e.toml"), text)
            .unwrap_or_else(|e| panic!("{text}: {e}"));
        let cases = subject.cases(&expected, self.0.path()).unwrap();
        cases.iter().flat_map(told).collect()
    }

    pub fn check(&self, expectations: &str, arguments: &[&str]) -> (Output, Value) {
        std::fs::write(self.path("e.toml"), expectations).unwrap();
        let output = self
            .seatrial(&[&["check", "app.tar", "--expect", "e.toml", "--json"], arguments].concat());
        let verdict =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
        (output, verdict)
    }
}

fn told(case: &TestCase) -> Vec<String> {
    match &case.outcome {
        Outcome::Failed { mismatches } => mismatches
            .iter()
            .map(|m| {
                format!("{}: {}: expected {}, found {}", case.name, m.subject, m.expected, m.found)
            })
            .collect(),
        _ => Vec::new(),
    }
}
