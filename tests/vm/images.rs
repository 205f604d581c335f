//! Images as Docker sees them.

use std::process::Command;
use std::time::Duration;

use seatrial::engine::RunOptions;
use seatrial::harness::HarnessError;

use crate::workbench::{RUN_TIMEOUT, Workbench, run};

/// Creates a store with two paths, one of which has a symlink to the other. Returns the part of a
/// recipe that names it.
fn store(bench: &Workbench) -> String {
    let path = |name: &str| bench.path(&format!("store/{name}"));
    std::fs::create_dir_all(path("b-tools/bin")).unwrap();
    std::fs::copy("/bin/busybox", path("b-tools/bin/busybox")).unwrap();
    std::fs::create_dir_all(path("a-app/bin")).unwrap();
    std::os::unix::fs::symlink("/nix/store/b-tools/bin/busybox", path("a-app/bin/cat")).unwrap();
    let graph = r#"[
        {"path": "/nix/store/a-app", "references": ["/nix/store/b-tools"], "narSize": 1},
        {"path": "/nix/store/b-tools", "references": [], "narSize": 1}
    ]"#;
    std::fs::write(bench.path("graph.json"), graph).unwrap();
    "[store]\nsource='store'\nclosure='graph.json'\n".to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn given_and_derived_tags_are_listed_with_a_name_that_has_a_registry() {
    let bench = Workbench::new().await;
    for layering in ["popularity", "single"] {
        for tag in ["", "tag='1.0'\n"] {
            let name = "registry.example:5000/my/image";
            let image = bench
                .load(&format!("name='{name}'\nlayering='{layering}'\n{tag}contents='rootfs'\n"))
                .await;
            assert!(image.reference().starts_with(name));
            image.assert_tag().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_runs_the_images_command_and_returns_output_and_exit_code() {
    let bench = Workbench::new().await;
    let image = bench
        .load("name='echo'\ncontents='rootfs'\n[config]\nEntrypoint=['/bin/echo']\nCmd=['hello']\n")
        .await;
    let output = image.run(&RunOptions::default(), RUN_TIMEOUT).await.unwrap();
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (0, "hello\n", ""));
    let shell = |script| RunOptions {
        entrypoint: Some(["/bin/sh", "-c", script].map(str::to_owned).to_vec()),
        command: Some(Vec::new()),
        ..RunOptions::default()
    };
    let output = image.run(&shell("echo oops >&2; exit 7"), RUN_TIMEOUT).await.unwrap();
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (7, "", "oops\n"));
    // A process that ignores the stop signal is killed.
    let docker = bench.daemon.engine();
    let container =
        docker.start(image.reference(), &shell("trap '' TERM; sleep 1000")).await.unwrap();
    container.stop(Duration::from_secs(1)).await.unwrap();
    let output = container.wait().await.unwrap();
    assert_eq!((output.code, output.signal()), (137, Some(9)));
    container.remove().await.unwrap();
    let stdin = RunOptions { stdin: Some("from outside".to_owned()), ..shell("cat") };
    assert_eq!(image.run(&stdin, RUN_TIMEOUT).await.unwrap().stdout, "from outside");
    let slow = image.run(&shell("sleep 1000"), Duration::from_secs(8)).await.unwrap_err();
    assert!(slow.to_string().contains("still running after 8 s"), "{slow}");
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_reports_architectures_as_go_names_them_and_dates_as_given() {
    let bench = Workbench::new().await;
    let created = async |reference: &str| {
        bench.daemon.docker().unwrap().inspect(reference).await.unwrap().created.unwrap()
    };
    let image = bench.load("name='amd'\narchitecture='x86_64-linux'\ncontents='rootfs'\n").await;
    image.assert_architecture("amd64").await.unwrap();
    assert_eq!(created(image.reference()).await.to_string(), "1970-01-01T00:00:01Z");
    let before = std::time::SystemTime::now();
    let image = bench
        .load("name='arm'\ntag='1'\narchitecture='aarch64'\ncreated='now'\ncontents='more'\n")
        .await;
    image.assert_architecture("arm64").await.unwrap();
    let seconds = created(image.reference()).await.to_string();
    let seconds = seconds.parse::<seatrial::image::Timestamp>().unwrap().seconds();
    let before = before.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!((before..before + 60).contains(&seconds), "{seconds} is not close to {before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_user_can_read_the_store_and_its_symlinks_work() {
    let bench = Workbench::new().await;
    let store = store(&bench);
    let config = "[config]\nUser='65534:65534'\nEntrypoint=['/nix/store/b-tools/bin/busybox']\n";
    let image = bench
        .load(&format!(
            "name='store'\narchitecture='amd64'\ncontents='/nix/store/a-app'\n{store}{config}"
        ))
        .await;
    let list = image.run(&RunOptions::command(&["ls", "/nix/store"]), RUN_TIMEOUT).await.unwrap();
    assert_eq!(
        (list.code, list.stdout.as_str(), list.stderr.as_str()),
        (0, "a-app\nb-tools\n", "")
    );
    // A symlink in the store, and the one at / that leads to it.
    let links = "readlink /nix/store/a-app/bin/cat; readlink /bin/cat";
    let read = image.run(&RunOptions::command(&["sh", "-c", links]), RUN_TIMEOUT).await.unwrap();
    assert_eq!(read.stdout, "/nix/store/b-tools/bin/busybox\n/nix/store/a-app/bin/cat\n");
    let user = image.run(&RunOptions::command(&["id", "-u"]), RUN_TIMEOUT).await.unwrap();
    assert_eq!(user.stdout, "65534\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_load_with_two_layers_without_a_store_and_without_contents() {
    let bench = Workbench::new().await;
    let store = store(&bench);
    let layers = async |reference: &str| {
        bench
            .daemon
            .docker()
            .unwrap()
            .inspect(reference)
            .await
            .unwrap()
            .root_fs
            .unwrap()
            .layers
            .unwrap_or_default()
            .len()
    };
    let image = bench
        .load(&format!("name='two'\nmax_layers=2\ncontents='/nix/store/a-app'\n{store}"))
        .await;
    assert_eq!(layers(image.reference()).await, 2);
    let image = bench.load("name='plain'\ncontents='rootfs'\n").await;
    assert_eq!(layers(image.reference()).await, 1);
    let list = image
        .run(&RunOptions::command(&["/bin/busybox", "ls", "-d", "/nix"]), RUN_TIMEOUT)
        .await
        .unwrap();
    assert_ne!(list.code, 0, "there is a store folder, but no store: {list:?}");
    let image = bench.load("name='nothing'\n[config]\nCmd=['/x']\n").await;
    assert_eq!(layers(image.reference()).await, 0);
    image.assert_tag().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_assertion_shows_the_expected_and_the_found_value() {
    let bench = Workbench::new().await;
    let image = bench
        .load("name='wrong'\ntag='1'\ncontents='rootfs'\n[config]\nEnv=['A=1','TOKEN=hunter2']\n")
        .await;
    let error = image.assert_env(&["A=2"]).await.unwrap_err();
    assert!(error.is_mismatch());
    let text = error.to_string();
    let shown = ["expected  \"A=2\"", "config [\"A=1\", \"TOKEN=<hidden>\"]", "container ["];
    assert!(shown.iter().all(|part| text.contains(part)), "{text}");
    let error = image.assert_env(&["TOKEN=other"]).await.unwrap_err().to_string();
    let shown = ["expected  \"TOKEN=<hidden>\"", "\"TOKEN=<hidden>\" (another value)"];
    assert!(shown.iter().all(|part| error.contains(part)), "{error}");
    assert!(!(text + &error).contains("hunter2"), "{error}");
    assert!(image.assert_architecture("s390x").await.unwrap_err().is_mismatch());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_image_and_a_failed_build_are_errors() {
    let bench = Workbench::new().await;
    let archive = bench.path("nonsense.tar");
    std::fs::write(&archive, vec![7; 4096]).unwrap();
    let error = bench.daemon.load_archive(&archive, "x:1").await.unwrap_err();
    assert!(matches!(error, HarnessError::Engine(_)), "{error:?}");
    let error =
        bench.daemon.load_recipe(bench.recipe("name='x'\ncontents='absent'\n")).await.unwrap_err();
    assert!(matches!(error, HarnessError::Build(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_rejects_requests_without_a_client_certificate() {
    let bench = Workbench::new().await;
    let port = bench.daemon.vm().port();
    for scheme in ["https", "http"] {
        let url = format!("{scheme}://127.0.0.1:{port}/version");
        let output = run(Command::new("curl").args(["-sk", "-m", "10", &url]));
        let answer = String::from_utf8_lossy(&output.stdout);
        assert!(!answer.contains("Version"), "{url}: {output:?}");
    }
}
