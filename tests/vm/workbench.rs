//! A Docker daemon in a VM of its own, and a folder with a static program, from which recipes build
//! images.

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use seatrial::build::Recipe;
use seatrial::harness::{Daemon, LoadedImage};
use seatrial::vm::Options;
use tempfile::TempDir;

pub const GUEST: &str = "docker-20.10";
/// The timeout for commands in the guest and in containers. Only a command that hangs takes so
/// long, even on a busy host.
pub const RUN_TIMEOUT: Duration = Duration::from_secs(300);
/// The number of lines of a console that a failed test shows.
const CONSOLE_LINES: usize = 30;

pub struct Workbench {
    pub daemon: Daemon,
    folder: TempDir,
}

impl Workbench {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        Self::start(GUEST, options).await
    }

    /// An engine other than [`GUEST`].
    pub async fn on(engine: &str) -> Self {
        Self::start(engine, Options::default()).await
    }

    /// An engine other than [`GUEST`], with options.
    pub async fn on_with(engine: &str, options: Options) -> Self {
        Self::start(engine, options).await
    }

    async fn start(engine: &str, options: Options) -> Self {
        let daemon = Daemon::start(engine, options).await;
        let daemon = daemon.unwrap_or_else(|error| panic!("{}", with_causes(&error)));
        assert_eq!(daemon.fallback(), None);
        let folder = TempDir::new().unwrap();
        let bin = folder.path().join("rootfs/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
        for applet in ["sh", "cat", "echo", "sleep", "nc", "id", "ls", "true"] {
            std::os::unix::fs::symlink("busybox", bin.join(applet)).unwrap();
        }
        std::fs::create_dir_all(folder.path().join("more")).unwrap();
        std::fs::write(folder.path().join("more/file"), "more").unwrap();
        Self { daemon, folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Parses a recipe whose paths are relative to the folder.
    pub fn recipe(&self, text: &str) -> Recipe {
        Recipe::parse(&self.path("recipe.toml"), text).unwrap()
    }

    /// Builds a recipe and loads its image into the daemon.
    pub async fn load(&self, text: &str) -> LoadedImage<'_> {
        let loaded = self.daemon.load_recipe(self.recipe(text)).await;
        loaded.unwrap_or_else(|error| panic!("{text}\n{}", with_causes(&error)))
    }

    /// Builds a recipe with the program, into the file `output` in the folder.
    pub fn build(&self, text: &str, output: &str) {
        std::fs::write(self.path("built.toml"), text).unwrap();
        let mut build = Command::new(env!("CARGO_BIN_EXE_seatrial"));
        build.current_dir(self.folder.path()).args(["build", "built.toml", "-o", output]);
        stdout(&run(&mut build));
    }

    /// Runs a shell script in the guest, and returns its standard output.
    pub async fn guest(&self, script: &str) -> String {
        let arguments = ["-ec", script];
        let output = self.daemon.guest_run("/bin/sh", &arguments, RUN_TIMEOUT).await.unwrap();
        assert!(output.success(), "{script}\n{output:?}");
        output.stdout
    }
}

/// An error and its causes, a line each.
fn with_causes(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text.push_str(&format!("\n{error}"));
        cause = error.source();
    }
    text
}

/// A failed test shows how the VM started and what its console says.
impl Drop for Workbench {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let console = std::fs::read(self.daemon.vm().folder().join("console.log"));
            let console = String::from_utf8_lossy(&console.unwrap_or_default()).into_owned();
            let lines: Vec<&str> = console.lines().collect();
            let end = &lines[lines.len().saturating_sub(CONSOLE_LINES)..];
            eprintln!("{}end of the console:\n{}", self.daemon.timeline(), end.join("\n"));
        }
    }
}

/// A named VM that ends even if the test fails. A failed test shows what its console says.
pub struct NamedVm(pub &'static str);

impl Drop for NamedVm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            seatrial(&["vm", "logs", self.0, "--console"]);
        }
        seatrial(&["vm", "down", self.0]);
    }
}

/// Runs the program.
pub fn seatrial(arguments: &[&str]) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_seatrial")).args(arguments))
}

/// Runs a command. A failed test shows all its commands with their exit codes and output.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    show(command, &output);
    output
}

/// Prints a command and its result, which the test harness shows if the test fails.
pub fn show(command: &Command, output: &Output) {
    eprintln!("$ {command:?}\n{}", output.status);
    for (name, stream) in [("standard output", &output.stdout), ("standard error", &output.stderr)]
    {
        eprintln!("{name}:\n{}", String::from_utf8_lossy(stream));
    }
}

/// The standard output of a program that must have succeeded.
pub fn stdout(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}
