use std::process::Command;
use std::time::Duration;

use seatrial::engine::RunOptions;
use seatrial::harness::HarnessError;

use crate::dock::{Dock, RUN};

/// A store of two paths, one of which links to the other.
fn store(dock: &Dock) -> String {
    let at = |name: &str| dock.path(&format!("store/{name}"));
    std::fs::create_dir_all(at("b-tools/bin")).unwrap();
    std::fs::copy("/bin/busybox", at("b-tools/bin/busybox")).unwrap();
    std::fs::create_dir_all(at("a-app/bin")).unwrap();
    std::os::unix::fs::symlink("/nix/store/b-tools/bin/busybox", at("a-app/bin/cat")).unwrap();
    let graph = r#"[{"path": "/nix/store/a-app", "references": ["/nix/store/b-tools"], "narSize": 1},
                    {"path": "/nix/store/b-tools", "references": [], "narSize": 1}]"#;
    std::fs::write(dock.path("graph.json"), graph).unwrap();
    "[store]\nsource='store'\nclosure='graph.json'\n".to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_given_and_derived_are_listed_under_a_name_with_a_registry() {
    let dock = Dock::new().await;
    for layering in ["popularity", "single"] {
        for tag in ["", "tag='1.0'\n"] {
            let name = "registry.example:5000/my/image";
            let image = dock
                .load(&format!("name='{name}'\nlayering='{layering}'\n{tag}contents='rootfs'\n"))
                .await;
            assert!(image.reference().starts_with(name));
            image.assert_tag().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_prints_and_ends_as_its_image_says() {
    let dock = Dock::new().await;
    let image = dock
        .load("name='echo'\ncontents='rootfs'\n[config]\nEntrypoint=['/bin/echo']\nCmd=['hello']\n")
        .await;
    let output = image.run(&RunOptions::default(), RUN).await.unwrap();
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (0, "hello\n", ""));
    let shell = |script| RunOptions {
        entrypoint: Some(["/bin/sh", "-c", script].map(str::to_owned).to_vec()),
        command: Some(Vec::new()),
        ..RunOptions::default()
    };
    let output = image.run(&shell("echo oops >&2; exit 7"), RUN).await.unwrap();
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (7, "", "oops\n"));
    // A first process that does not heed the stop signal is killed.
    let docker = dock.daemon.engine();
    let container =
        docker.start(image.reference(), &shell("trap '' TERM; sleep 1000")).await.unwrap();
    container.stop(Duration::from_secs(1)).await.unwrap();
    let output = container.wait().await.unwrap();
    assert_eq!((output.code, output.signal()), (137, Some(9)));
    container.remove().await.unwrap();
    let stdin = RunOptions { stdin: Some("from outside".to_owned()), ..shell("cat") };
    assert_eq!(image.run(&stdin, RUN).await.unwrap().stdout, "from outside");
    let slow = image.run(&shell("sleep 1000"), Duration::from_secs(8)).await.unwrap_err();
    assert!(slow.to_string().contains("timed out after 8 s"), "{slow}");
}

#[tokio::test(flavor = "multi_thread")]
async fn architectures_are_seen_as_goarch_and_dates_as_given() {
    let dock = Dock::new().await;
    let created = async |reference: &str| {
        dock.daemon.docker().unwrap().inspect(reference).await.unwrap().created.unwrap()
    };
    let image = dock.load("name='amd'\narchitecture='x86_64-linux'\ncontents='rootfs'\n").await;
    image.assert_architecture("amd64").await.unwrap();
    assert_eq!(created(image.reference()).await.to_string(), "1970-01-01T00:00:01Z");
    let before = std::time::SystemTime::now();
    let image = dock
        .load("name='arm'\ntag='1'\narchitecture='aarch64'\ncreated='now'\ncontents='more'\n")
        .await;
    image.assert_architecture("arm64").await.unwrap();
    let seen = created(image.reference()).await.to_string();
    let seen = seen.parse::<seatrial::image::Timestamp>().unwrap().seconds();
    let before = before.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!((before..before + 60).contains(&seen), "{seen} is not now, {before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_readable_by_anybody_and_its_links_are_whole() {
    let dock = Dock::new().await;
    let store = store(&dock);
    let config = "[config]\nUser='65534:65534'\nEntrypoint=['/nix/store/b-tools/bin/busybox']\n";
    let image = dock
        .load(&format!(
            "name='store'\narchitecture='amd64'\ncontents='/nix/store/a-app'\n{store}{config}"
        ))
        .await;
    let list = image.run(&RunOptions::command(&["ls", "/nix/store"]), RUN).await.unwrap();
    assert_eq!(
        (list.code, list.stdout.as_str(), list.stderr.as_str()),
        (0, "a-app\nb-tools\n", "")
    );
    // A symlink in the store, and the one at / to it.
    let links = "readlink /nix/store/a-app/bin/cat; readlink /bin/cat";
    let read = image.run(&RunOptions::command(&["sh", "-c", links]), RUN).await.unwrap();
    assert_eq!(read.stdout, "/nix/store/b-tools/bin/busybox\n/nix/store/a-app/bin/cat\n");
    let user = image.run(&RunOptions::command(&["id", "-u"]), RUN).await.unwrap();
    assert_eq!(user.stdout, "65534\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_with_two_layers_and_with_no_store_and_with_nothing_load() {
    let dock = Dock::new().await;
    let store = store(&dock);
    let layers = async |reference: &str| {
        dock.daemon
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
    let image =
        dock.load(&format!("name='two'\nmax_layers=2\ncontents='/nix/store/a-app'\n{store}")).await;
    assert_eq!(layers(image.reference()).await, 2);
    let image = dock.load("name='plain'\ncontents='rootfs'\n").await;
    assert_eq!(layers(image.reference()).await, 1);
    let list =
        image.run(&RunOptions::command(&["/bin/busybox", "ls", "-d", "/nix"]), RUN).await.unwrap();
    assert_ne!(list.code, 0, "there is a folder for a store that is not there: {list:?}");
    let image = dock.load("name='nothing'\n[config]\nCmd=['/x']\n").await;
    assert_eq!(layers(image.reference()).await, 0);
    image.assert_tag().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_expectation_shows_both_sides() {
    let dock = Dock::new().await;
    let image =
        dock.load("name='wrong'\ntag='1'\ncontents='rootfs'\n[config]\nEnv=['A=1']\n").await;
    let error = image.assert_env(&["A=2"]).await.unwrap_err();
    assert!(error.is_mismatch());
    let text = error.to_string();
    let shown = ["expected  A=2", "config [\"A=1\"]", "container ["];
    assert!(shown.iter().all(|part| text.contains(part)), "{text}");
    assert!(image.assert_architecture("s390x").await.unwrap_err().is_mismatch());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_image_is_an_error_and_the_api_answers_nobody_without_the_key() {
    let dock = Dock::new().await;
    let archive = dock.path("nonsense.tar");
    std::fs::write(&archive, vec![7; 4096]).unwrap();
    let error = dock.daemon.load_archive(&archive, "x:1").await.unwrap_err();
    assert!(matches!(error, HarnessError::Engine(_)), "{error:?}");
    let error =
        dock.daemon.load_recipe(dock.recipe("name='x'\ncontents='absent'\n")).await.unwrap_err();
    assert!(matches!(error, HarnessError::Build(_)), "{error:?}");
    for address in ["https", "http"]
        .map(|scheme| format!("{scheme}://127.0.0.1:{}/version", dock.daemon.vm().port()))
    {
        let output = Command::new("curl").args(["-sk", "-m", "10", &address]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!said.contains("Version"), "{address}: {output:?}");
    }
}
