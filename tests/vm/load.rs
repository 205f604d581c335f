//! `seatrial load`: loads an image into an engine, only the layers that are missing there.

use std::process::Command;

use seatrial::engine::RunOptions;
use serde_json::Value;

use crate::workbench::{RUN_TIMEOUT, Workbench, run};

/// The store paths of the layers that stay the same.
const ONE: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-one";
const TWO: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-two";

/// Returns a recipe with two layers that stay the same and one on top that has `content`.
fn recipe(bench: &Workbench, content: &str) -> String {
    for name in [ONE, TWO] {
        let path = bench.path("store").join(name);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("file"), [name.as_bytes()[0]; 400_000]).unwrap();
    }
    let (one, two) = (format!("/nix/store/{ONE}"), format!("/nix/store/{TWO}"));
    let graph = serde_json::json!([
        { "path": one, "references": [], "narSize": 1 },
        { "path": two, "references": [one], "narSize": 1 },
    ]);
    std::fs::write(bench.path("graph.json"), graph.to_string()).unwrap();
    std::fs::write(bench.path("rootfs/content"), content).unwrap();
    format!(
        "name='load/app'\ntag='1'\ncontents='rootfs'\n\
         [store]\nsource='store'\nclosure='graph.json'\n\
         [config.Labels]\nneeds='{two}'\n"
    )
}

fn load(bench: &Workbench, arguments: &[&str]) -> Value {
    let vm = bench.daemon.vm();
    let mut command = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    command.args(["load", "--json"]).args(arguments).current_dir(bench.path("."));
    command.env("DOCKER_HOST", format!("tcp://localhost:{}", vm.port()));
    command.env("DOCKER_TLS_VERIFY", "1").env("DOCKER_CERT_PATH", vm.folder());
    let output = run(&mut command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_change_only_the_changed_layer_is_sent_and_the_image_is_complete() {
    let bench = Workbench::new().await;
    std::fs::write(bench.path("app.toml"), recipe(&bench, "before\n")).unwrap();
    let first = load(&bench, &["app.toml"]);
    assert_eq!((&first["layers"], &first["sent"]), (&3.into(), &3.into()), "{first}");

    std::fs::write(bench.path("app.toml"), recipe(&bench, "after\n")).unwrap();
    let second = load(&bench, &["app.toml"]);
    assert_eq!((&second["layers"], &second["sent"]), (&3.into(), &1.into()), "{second}");
    assert!(first["bytes"].as_u64().unwrap() > second["bytes"].as_u64().unwrap() + 800_000);
    let shown = RunOptions::command(&["/bin/cat", "/content"]);
    let output = bench.daemon.engine().run("load/app:1", &shown, RUN_TIMEOUT).await.unwrap();
    assert_eq!(output.stdout, "after\n");

    // From an archive with the same image, nothing is missing.
    bench.build(&recipe(&bench, "after\n"), "app.tar");
    let third = load(&bench, &["app.tar"]);
    assert_eq!(
        (&third["sent"], &third["id"], &third["whole_because"]),
        (&0.into(), &second["id"], &Value::Null)
    );
    let whole = load(&bench, &["app.tar", "--whole"]);
    assert_eq!((&whole["sent"], &whole["id"]), (&3.into(), &second["id"]));
}

#[test]
fn an_unreachable_daemon_ends_with_exit_code_3() {
    let folder = tempfile::TempDir::new().unwrap();
    let recipe = folder.path().join("x.toml");
    std::fs::write(&recipe, "name='x'\n").unwrap();
    let output = crate::workbench::seatrial(&[
        "load",
        recipe.to_str().unwrap(),
        "--host",
        "unix:///nowhere.sock",
    ]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere.sock"), "{output:?}");
}

#[test]
fn an_invalid_address_of_a_daemon_ends_with_exit_code_2() {
    let folder = tempfile::TempDir::new().unwrap();
    let recipe = folder.path().join("x.toml");
    std::fs::write(&recipe, "name='x'\n").unwrap();
    let output = crate::workbench::seatrial(&[
        "load",
        recipe.to_str().unwrap(),
        "--host",
        "/run/docker.sock",
    ]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("write unix:///PATH"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_never_answers_a_load_is_an_error_after_the_timeout() {
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join("silent.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    // Reads everything and answers nothing.
    let silent = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        tokio::io::copy(&mut connection, &mut tokio::io::sink()).await
    });
    let engine =
        seatrial::engine::Docker::from_host(&format!("unix://{}", socket.display()), None).unwrap();
    let archive = futures_util::stream::iter([Ok(bytes::Bytes::from_static(b"an archive"))]);
    let error =
        engine.load(archive, std::time::Duration::from_millis(200)).await.unwrap_err().to_string();
    assert_eq!(error, "failed to load the image: timed out after 0.2 s");
    silent.abort();
}
