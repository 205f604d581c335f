//! `seatrial load`: an image into an engine, no more of it than is missing there.

use std::process::Command;

use seatrial::engine::RunOptions;
use serde_json::Value;

use crate::dock::{Dock, RUN};

/// Two layers that stay and one on top that changes.
fn layered(dock: &Dock, content: &str) -> String {
    for name in ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-one", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-two"] {
        let path = dock.path("store").join(name);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("file"), [name.as_bytes()[0]; 400_000]).unwrap();
    }
    let graph = r#"[{"path": "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-one", "references": [], "narSize": 1},
        {"path": "/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-two",
         "references": ["/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-one"], "narSize": 1}]"#;
    std::fs::write(dock.path("graph.json"), graph).unwrap();
    std::fs::write(dock.path("rootfs/content"), content).unwrap();
    "name='load/app'\ntag='1'\ncontents='rootfs'\n[store]\nsource='store'\nclosure='graph.json'\n\
     [config.Labels]\nneeds='/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-two'\n"
        .to_owned()
}

fn load(dock: &Dock, arguments: &[&str]) -> Value {
    let machine = dock.daemon.vm();
    let mut command = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    command.args(["load", "--json"]).args(arguments).current_dir(dock.path("."));
    command.env("DOCKER_HOST", format!("tcp://localhost:{}", machine.port()));
    command.env("DOCKER_TLS_VERIFY", "1").env("DOCKER_CERT_PATH", machine.folder());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_change_only_the_changed_layer_is_sent_and_the_image_is_right() {
    let dock = Dock::new().await;
    std::fs::write(dock.path("app.toml"), layered(&dock, "before\n")).unwrap();
    let first = load(&dock, &["app.toml"]);
    assert_eq!((&first["layers"], &first["sent"]), (&3.into(), &3.into()), "{first}");

    std::fs::write(dock.path("app.toml"), layered(&dock, "after\n")).unwrap();
    let second = load(&dock, &["app.toml"]);
    assert_eq!((&second["layers"], &second["sent"]), (&3.into(), &1.into()), "{second}");
    assert!(first["bytes"].as_u64().unwrap() > second["bytes"].as_u64().unwrap() + 800_000);
    let shown = RunOptions::command(&["/bin/cat", "/content"]);
    let output = dock.daemon.engine().run("load/app:1", &shown, RUN).await.unwrap();
    assert_eq!(output.stdout, "after\n");

    // The same from an archive: nothing is missing.
    dock.build(&layered(&dock, "after\n"), "app.tar");
    let third = load(&dock, &["app.tar"]);
    assert_eq!(
        (&third["sent"], &third["id"], &third["whole_because"]),
        (&0.into(), &second["id"], &Value::Null)
    );
    let whole = load(&dock, &["app.tar", "--whole"]);
    assert_eq!((&whole["sent"], &whole["id"]), (&3.into(), &second["id"]));
}

#[test]
fn a_daemon_that_is_not_there_is_the_environments_fault() {
    let folder = tempfile::TempDir::new().unwrap();
    let recipe = folder.path().join("x.toml");
    std::fs::write(&recipe, "name='x'\n").unwrap();
    let output = crate::dock::seatrial(&[
        "load",
        recipe.to_str().unwrap(),
        "--host",
        "unix:///nowhere.sock",
    ]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere.sock"), "{output:?}");
}

#[test]
fn a_place_that_is_none_is_the_users_mistake() {
    let folder = tempfile::TempDir::new().unwrap();
    let recipe = folder.path().join("x.toml");
    std::fs::write(&recipe, "name='x'\n").unwrap();
    let output =
        crate::dock::seatrial(&["load", recipe.to_str().unwrap(), "--host", "/run/docker.sock"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("write unix:///PATH"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_takes_an_image_and_never_answers_is_given_up_on() {
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join("silent.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    // Takes everything that comes and says nothing.
    let silent = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        tokio::io::copy(&mut connection, &mut tokio::io::sink()).await
    });
    let engine =
        seatrial::engine::Docker::from_host(&format!("unix://{}", socket.display()), None).unwrap();
    let archive = futures_util::stream::iter([Ok(bytes::Bytes::from_static(b"an archive"))]);
    let said =
        engine.load(archive, std::time::Duration::from_millis(200)).await.unwrap_err().to_string();
    assert_eq!(said, "failed to load the image: timed out after 0.2 s");
    silent.abort();
}
