//! The workbench: a daemon in a machine of its own, and a folder with a static program and recipes.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use seatrial::build::Recipe;
use seatrial::harness::{Daemon, LoadedImage};
use seatrial::vm::Options;
use tempfile::TempDir;

pub const GUEST: &str = "docker-20.10";
pub const RUN: Duration = Duration::from_secs(60);

pub struct Dock {
    pub daemon: Daemon,
    folder: TempDir,
}

impl Dock {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let daemon = Daemon::start(GUEST, options).await.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(daemon.fallback(), None);
        eprint!("{}", daemon.timeline()); // shown when a test fails
        let folder = TempDir::new().unwrap();
        let bin = folder.path().join("rootfs/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
        for applet in ["sh", "cat", "echo", "sleep", "nc", "id", "true"] {
            std::os::unix::fs::symlink("busybox", bin.join(applet)).unwrap();
        }
        std::fs::create_dir_all(folder.path().join("more")).unwrap();
        std::fs::write(folder.path().join("more/file"), "more").unwrap();
        Self { daemon, folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn recipe(&self, text: &str) -> Recipe {
        Recipe::parse(&self.path("recipe.toml"), text).unwrap()
    }

    pub async fn load(&self, text: &str) -> LoadedImage<'_> {
        self.daemon.load_recipe(self.recipe(text)).await.unwrap_or_else(|e| panic!("{text}\n{e:?}"))
    }

    /// Builds into a file of the folder.
    pub fn build(&self, text: &str, output: &str) {
        std::fs::write(self.path("built.toml"), text).unwrap();
        let mut build = Command::new(env!("CARGO_BIN_EXE_seatrial"));
        let output = build
            .current_dir(self.folder.path())
            .args(["build", "built.toml", "-o", output])
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What a script of the guest's shell prints.
    pub async fn guest(&self, script: &str) -> String {
        let output = self.daemon.guest_run("/bin/sh", &["-ec", script], RUN).await.unwrap();
        assert!(output.success(), "{script}\n{output:?}");
        output.stdout
    }
}

/// Runs the program.
pub fn seatrial(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_seatrial")).args(arguments).output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}
