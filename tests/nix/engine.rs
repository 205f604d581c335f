//! nixpkgs' subtests on a real engine. One VM for all of them; every failed check is reported.
//! `examples.rs` has those with real programs.

use std::time::Duration;

use seatrial::engine::RunOptions;
use seatrial::harness::{Daemon, LoadedImage};
use seatrial::vm::Options;

use crate::nix::{Image, built, evaluated, streamed};

/// The timeout for commands in the guest and in containers.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// An engine, and the checks that failed.
pub struct Trial {
    pub daemon: Daemon,
    pub folder: tempfile::TempDir,
    failed: Vec<String>,
}

impl Trial {
    pub async fn start() -> Self {
        let daemon = Daemon::start("docker-20.10", Options::default()).await;
        let daemon = daemon.unwrap_or_else(|e| panic!("{e}"));
        Self { daemon, folder: tempfile::tempdir().unwrap(), failed: Vec::new() }
    }

    /// Loads the image of an attribute: the archive that it is, or that it streams.
    pub async fn load(&self, name: &str) -> LoadedImage<'_> {
        let file = built(name);
        let is_archive = file
            .extension()
            .is_some_and(|suffix| ["tar", "gz", "zst"].contains(&suffix.to_str().unwrap()));
        let path = self.folder.path().join(name);
        let bytes = if is_archive { std::fs::read(file).unwrap() } else { streamed(name, &[]) };
        // Docker 20.10 reads no zstd.
        std::fs::write(&path, &bytes).unwrap();
        let reference = Image::read(&bytes).reference();
        self.daemon.load_archive(&path, &reference).await.unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Checks what the image of attribute `name` prints if it runs `command`, or its own command.
    pub async fn prints(&mut self, subtest: &str, name: &str, command: &[&str], expected: &str) {
        let options =
            if command.is_empty() { RunOptions::default() } else { RunOptions::command(command) };
        Box::pin(self.prints_with(subtest, name, &options, expected)).await;
    }

    async fn prints_with(
        &mut self,
        subtest: &str,
        name: &str,
        options: &RunOptions,
        expected: &str,
    ) {
        // Boxed, because the futures of a test are large in a debug build.
        let run = Box::pin(async { output_of(&self.load(name).await, options).await });
        let found = run.await;
        self.check(subtest, found.trim_end() == expected, &format!("{name}: {found}"));
    }

    pub fn check(&mut self, subtest: &str, passed: bool, found: &str) {
        eprintln!("{} {subtest}", if passed { "passed" } else { "FAILED" });
        if !passed {
            self.failed.push(format!("{subtest}: {found}"));
        }
    }

    /// Panics if a check failed.
    pub fn end(self) {
        assert!(self.failed.is_empty(), "failed subtests:\n{}", self.failed.join("\n"));
    }

    /// Runs a shell script in the guest, which must succeed.
    pub async fn guest(&mut self, subtest: &str, script: &str) -> String {
        let output = self.daemon.guest_run("/bin/sh", &["-ec", script], TIMEOUT).await.unwrap();
        self.check(subtest, output.success(), &format!("{output:?}"));
        output.stdout
    }
}

/// Returns what a container of the image prints, or why it fails.
pub async fn output_of(image: &LoadedImage<'_>, options: &RunOptions) -> String {
    match image.run(options, TIMEOUT).await {
        Ok(output) if output.code == 0 => output.stdout,
        Ok(output) => format!("exit code {}: {}{}", output.code, output.stdout, output.stderr),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_images_of_nixpkgs_tests_work_on_docker() {
    let mut trial = Trial::start().await;
    Box::pin(store(&mut trial)).await;
    Box::pin(layers_and_names(&mut trial)).await;
    Box::pin(customised(&mut trial)).await;
    Box::pin(run_as_root(&mut trial)).await;
    trial.end();
}

async fn store(trial: &mut Trial) {
    trial.prints("the store is included", "stream", &[], "Hello, world!").await;
    let without = trial.load("withoutStore").await.run(&RunOptions::default(), TIMEOUT).await;
    let works = without.is_ok_and(|output| output.code == 0);
    trial.check("an image without the store does not run", !works, "it runs");
    let stream = trial.load("stream").await.reference().to_owned();
    let links = trial.load("withoutStore").await.reference().to_owned();
    let script = format!(
        "id=$(docker create {stream}); mkdir -p /tmp/s; docker cp $id:/nix/store /tmp/s/; \
         docker rm $id >/dev/null; docker run --rm -v /tmp/s/store:/nix/store {links}"
    );
    let output = trial.guest("an image without the store works with a mounted one", &script).await;
    trial.check("the mounted store has the program", output == "Hello, world!\n", &output);
    let list = ["/bin/sh", "-c", "ls /nix/store | wc -l"];
    let paths = Image::streamed("helpers").store_paths().len().to_string();
    trial.prints("the store has the paths of the archive", "helpers", &list, &paths).await;
    let mode = ["/bin/sh", "-c", "stat -c %a /nix/store"];
    trial.prints("the store of a layered image has mode 755", "helpers", &mode, "755").await;
    let other_user = RunOptions { user: Some("1000".to_owned()), ..RunOptions::command(&mode) };
    trial.prints_with("another user can read the store", "helpers", &other_user, "755").await;
}

async fn layers_and_names(trial: &mut Trial) {
    let references = evaluated("references");
    for name in ["layered", "uncompressed", "single", "registry", "registrySingle"] {
        let image = trial.load(name).await;
        let found = image.reference().to_owned();
        let listed = image.assert_tag().await.is_ok();
        let passed = listed && references[name] == found.as_str();
        trial.check(&format!("{name} is listed with the tag that is known before"), passed, &found);
    }
    trial.prints("a layered image works", "layered", &[], "Hello, world!").await;
    trial.prints("layered on layered", "onTop", &["/bin/hello"], "other").await;
    trial.prints("a bulk layer misses nothing", "bulk", &["/bin/app"], "app").await;
    trial.prints("two layers", "twoLayers", &["/bin/app"], "app").await;
    let env = trial.load("child").await.config_env().await.unwrap().join(" ");
    trial.check("the environment is inherited once", env == "A=1 B=2", &env);
    let bare = ["/bin/hello"];
    trial.prints("bare paths in contents", "barePath", &bare, "Hello, world!").await;
    let arch = trial.load("cross").await.assert_architecture("arm64").await;
    trial.check("the architecture is the image's", arch.is_ok(), "another one");
}

async fn customised(trial: &mut Trial) {
    let cat = ["/bin/cat", "/extraCommands"];
    trial.prints("extraCommands add a file", "extra", &cat, "(extraCommand)").await;
    let owner = ["/bin/stat", "-c", "%u:%g", "/bin2/tool"];
    trial.prints("owners of fakeRootCommands persist", "fakeRoot", &owner, "12345:12345").await;
    let app = ["/bin/sh", "-c", "/app/bin/app"];
    trial.prints("store paths that fakeRootCommands name", "fakeRoot", &app, "app").await;
    let home = ["/bin/stat", "-c", "%u", "/home"];
    trial.prints("chown with enableFakechroot", "fakeChroot", &home, "1000").await;
    let who = RunOptions { user: Some("jane".into()), ..RunOptions::command(&["/bin/id", "-u"]) };
    trial.prints_with("a user of fakeRootCommands", "fakeChroot", &who, "1000").await;
    let name = ["/bin/sh", "-c", "cut -d: -f1 /etc/passwd | head -n 2 | tail -n 1"];
    trial.prints("fakeNss has an added user", "helpers", &name, "user").await;
    let certificates = ["/bin/cat", "/etc/ssl/certs/ca-certificates.crt"];
    trial.prints("certificates are found", "helpers", &certificates, "certificates").await;
    let writable = ["/bin/sh", "-c", "echo text > file && cat file && pwd"];
    let shell = RunOptions {
        entrypoint: Some(writable.map(str::to_owned).to_vec()),
        command: Some(Vec::new()),
        ..RunOptions::default()
    };
    trial
        .prints_with("the home of a shell image is writable", "shell", &shell, "text\n/build")
        .await;
    Box::pin(shells(trial)).await;
    let merged = trial.folder.path().join("merged");
    std::fs::copy(built("merged"), &merged).unwrap();
    for name in ["layered", "single"] {
        let reference = Image::built(name).reference();
        let loaded = trial.daemon.load_archive(&merged, &reference).await.is_ok();
        trial.check(&format!("merged images load: {name}"), loaded, "not loaded");
    }
}

async fn shells(trial: &mut Trial) {
    let built = "Hello from a build!\nnot interactive";
    trial.prints("a shell image builds its derivation", "shellBuild", &[], built).await;
    let command = ["bash", "-c", "buildDerivation && $out/bin/greeter"];
    let by_hand = RunOptions::command(&command);
    let greeting = "Hello from a build!";
    trial.prints_with("a basic derivation", "shellBuild", &by_hand, greeting).await;
    let reference = trial.load("shellInteractive").await.reference().to_owned();
    let script = format!("docker run --rm -t {reference}");
    let output = trial.guest("a shell image runs with a terminal", &script).await;
    for (subtest, line) in [
        ("the shell hook runs", "hook"),
        ("inputs are available", "Hello, world!"),
        ("passAsFile", "a long text"),
        ("command runs in an interactive shell", "interactive"),
        ("a home that does not exist", "no home"),
    ] {
        trial.check(subtest, output.lines().any(|found| found.trim() == line), &output);
    }
}

async fn run_as_root(trial: &mut Trial) {
    let hello = ["/bin/cat", "/data/hello"];
    trial
        .prints("runAsRoot runs programs of the contents", "asRoot", &hello, "Hello, world!")
        .await;
    let list = ["/bin/sh", "-c", "echo /data/*"];
    let left = "/data/changed /data/hello /data/kept";
    trial.prints("what runAsRoot removed is not there", "asRoot", &list, left).await;
    let cat = ["/bin/cat", "/data/changed"];
    trial.prints("layers are unpacked before runAsRoot", "asRoot", &cat, "second\nchanged").await;
    let jane = RunOptions {
        user: Some("jane".to_owned()),
        ..RunOptions::command(&["/bin/sh", "-c", "cd ~ && touch file && id -u"])
    };
    trial.prints_with("a user that runAsRoot added has a home", "asRoot", &jane, "1000").await;
}
