//! Images on a real Docker daemon in a throwaway machine, which all tests here share.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod leaving; // nothing outlives its run

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use seatrial::build::Recipe;
use seatrial::trial::{Daemon, LoadedImage, TrialError};
use tempfile::TempDir;

const RUN: Duration = Duration::from_secs(60);

/// A folder with a static program and recipes, and the daemon.
struct Dock {
    daemon: Daemon,
    folder: TempDir,
}

impl Dock {
    async fn new() -> Self {
        let daemon =
            Daemon::start("docker-20.10", Default::default()).await.unwrap_or_else(|e| panic!("{e}"));
        let folder = TempDir::new().unwrap();
        let bin = folder.path().join("rootfs/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
        std::fs::create_dir_all(folder.path().join("more")).unwrap();
        std::fs::write(folder.path().join("more/file"), "more").unwrap();
        Self { daemon, folder }
    }

    fn recipe(&self, text: &str) -> Recipe {
        Recipe::parse(&self.folder.path().join("recipe.toml"), text).unwrap()
    }

    async fn load(&self, text: &str) -> LoadedImage<'_> {
        self.daemon.load_recipe(self.recipe(text)).await.unwrap_or_else(|e| panic!("{text}\n{e:?}"))
    }

    /// Builds into a file of the folder, to be a base.
    fn build(&self, text: &str, output: &str) {
        std::fs::write(self.folder.path().join("base.toml"), text).unwrap();
        let mut build = std::process::Command::new(env!("CARGO_BIN_EXE_seatrial"));
        build.current_dir(self.folder.path()).args(["build", "base.toml", "-o", output]);
        let output = build.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_on_a_real_daemon_what_their_recipes_say() {
    let dock = Dock::new().await;
    eprint!("{}", dock.daemon.timeline()); // shown when a test fails
    tags_given_and_derived_are_listed(&dock).await;
    the_environment_is_the_same_in_config_and_container(&dock).await;
    architectures_are_seen_as_goarch(&dock).await;
    a_container_prints_what_it_should(&dock).await;
    layers_are_shared_between_images(&dock).await;
    a_wrong_expectation_shows_both_sides(&dock).await;
    a_refused_image_is_an_error(&dock).await;
    the_api_answers_nobody_without_the_key(&dock).await;
    let pid = dock.daemon.machine().pid();
    let machine = dock.daemon.machine().folder().to_owned();
    drop(dock);
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "QEMU is left");
    assert!(!machine.exists(), "the machine's folder is left");
}

async fn tags_given_and_derived_are_listed(dock: &Dock) {
    for layout in ["layered", "single"] {
        for tag in ["", "tag='1.0'\n"] {
            let name = "registry.example:5000/my/image";
            let image =
                dock.load(&format!("name='{name}'\nlayout='{layout}'\n{tag}contents='rootfs'\n")).await;
            assert!(image.reference().starts_with(name));
            image.assert_tag().await.unwrap();
        }
    }
}

async fn the_environment_is_the_same_in_config_and_container(dock: &Dock) {
    let base =
        "name='base'\ntag='1'\ncontents='rootfs'\n[config]\nEnv=['PATH=/bin', 'LAST_LAYER=base', 'BASE=1']\n";
    for (lower, upper) in [("layered", "single"), ("single", "layered"), ("layered", "layered")] {
        dock.build(&format!("layout='{lower}'\n{base}"), "base.tar");
        let image = dock
            .load(&format!(
                "name='child'\nlayout='{upper}'\nfrom_image='base.tar'\ncontents='more'\n\
                 [config]\nEnv=['LAST_LAYER=child', 'CHILD=2']\n"
            ))
            .await;
        image.assert_env(&["PATH=/bin", "LAST_LAYER=child", "BASE=1", "CHILD=2"]).await.unwrap();
    }
}

async fn architectures_are_seen_as_goarch(dock: &Dock) {
    let image = dock.load("name='amd'\narchitecture='x86_64-linux'\ncontents='rootfs'\n").await;
    image.assert_architecture("amd64").await.unwrap();
    let image = dock.load("name='arm'\narchitecture='aarch64'\ncontents='rootfs'\n").await;
    image.assert_architecture("arm64").await.unwrap();
}

async fn a_container_prints_what_it_should(dock: &Dock) {
    let image = dock
        .load(
            "name='echo'\ncontents='rootfs'\n[config]\nEntrypoint=['/bin/busybox', 'echo']\nCmd=['hello']\n",
        )
        .await;
    let output = image.run(None, RUN).await.unwrap();
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (0, "hello\n", ""));
    let image =
        dock.load("name='sh'\ncontents='rootfs'\n[config]\nEntrypoint=['/bin/busybox', 'sh', '-c']\n").await;
    let output = image.run(Some(&["echo oops >&2; exit 7"]), RUN).await.unwrap();
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (7, "", "oops\n"));
    let slow = image.run(Some(&["sleep 1000"]), Duration::from_secs(8)).await.unwrap_err();
    assert!(slow.to_string().contains("took longer than 8 s"), "{slow}");
}

async fn layers_are_shared_between_images(dock: &Dock) {
    dock.build("name='base'\ntag='1'\ncontents='rootfs'\n", "base.tar");
    let mut seen = Vec::new();
    for name in ["one", "two"] {
        let recipe = format!(
            "name='{name}'\nfrom_image='base.tar'\ncontents='more'\nmtime='200{}-01-01T00:00:00Z'\ntag='1'\n",
            seen.len()
        );
        let image = dock.load(&recipe).await;
        let inspected = dock.daemon.docker().inspect(image.reference()).await.unwrap();
        seen.push(inspected.root_fs.unwrap().layers.unwrap());
    }
    assert_eq!((seen[0].len(), seen[1].len()), (2, 2));
    let shared = seen[0].iter().collect::<BTreeSet<_>>().intersection(&seen[1].iter().collect()).count();
    assert_eq!(shared, 1);
    assert_eq!(seen[0][0], seen[1][0], "the base's layer is the lowest");
}

async fn a_wrong_expectation_shows_both_sides(dock: &Dock) {
    let image = dock.load("name='wrong'\ntag='1'\ncontents='rootfs'\n[config]\nEnv=['A=1']\n").await;
    let error = image.assert_env(&["A=2"]).await.unwrap_err();
    assert!(error.is_mismatch());
    let text = error.to_string();
    assert!(
        text.contains("expected  A=2") && text.contains("config [\"A=1\"]") && text.contains("container ["),
        "{text}"
    );
    assert!(image.assert_architecture("s390x").await.unwrap_err().is_mismatch());
}

async fn a_refused_image_is_an_error(dock: &Dock) {
    let archive = dock.folder.path().join("nonsense.tar");
    std::fs::write(&archive, vec![7; 4096]).unwrap();
    let error = dock.daemon.load_archive(&archive, "x:1").await.unwrap_err();
    assert!(matches!(error, TrialError::Engine(_)), "{error:?}");
    let error = dock.daemon.load_recipe(dock.recipe("name='x'\ncontents='absent'\n")).await.unwrap_err();
    assert!(matches!(error, TrialError::Build(_)), "{error:?}");
}

async fn the_api_answers_nobody_without_the_key(dock: &Dock) {
    let port = dock.daemon.machine().port();
    let mut curl = std::process::Command::new("curl");
    let output =
        curl.args(["-sk", "-m", "10", &format!("https://127.0.0.1:{port}/version")]).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
}
