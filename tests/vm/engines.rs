//! What engines make of images, each looked at in a pristine machine, held against the tables of `docs/engines.md`. The gate
//! has the oldest and the newest Docker, the nightly run all (`--ignored`); with `SEATRIAL_UPDATE=ENGINE,...` the columns of
//! those engines, and of new ones, are written anew.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use seatrial::engine::{Engine, RunOptions};
use seatrial::harness::Daemon;
use seatrial::vm::Definition;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const RUN: Duration = Duration::from_secs(120);
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/engines.md");

/// What is found out of an engine, in the order of the tables' lines.
type Facts = Vec<(String, String)>;

struct CheckInput {
    daemon: Daemon,
    folder: TempDir,
}

impl CheckInput {
    async fn new(guest: &str) -> Self {
        let daemon = Daemon::start(guest, Default::default())
            .await
            .unwrap_or_else(|e| panic!("{guest}: {e}"));
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join("root")).unwrap();
        fs::copy("/bin/busybox", folder.path().join("root/busybox")).unwrap();
        Self { daemon, folder }
    }

    fn engine(&self) -> &Engine {
        self.daemon.engine()
    }

    /// Builds an image that is like no other, and gives its reference and its id.
    fn build(&self, name: &str, arguments: &[&str]) -> (String, String) {
        let root = self.folder.path();
        fs::write(root.join("root/name"), name).unwrap();
        fs::write(root.join("recipe.toml"), format!("name='{name}'\ntag='1'\ncontents='root'\n"))
            .unwrap();
        let mut build = Command::new(env!("CARGO_BIN_EXE_seatrial"));
        build
            .current_dir(root)
            .args(["build", "recipe.toml", "--json", "-o", "image.tar"])
            .args(arguments);
        let output = build.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        (format!("{name}:1"), summary["id"].as_str().unwrap().to_owned())
    }

    async fn load(&self, reference: &str) -> Result<(), String> {
        let archive = self.folder.path().join("image.tar");
        let loaded = self.daemon.load_archive(&archive, reference).await;
        loaded.map(drop).map_err(|error| error.to_string())
    }

    /// An image whose config nobody of good will would write, by hand; with its layer, or without.
    fn write_raw(&self, name: &str, config: Value, whole: bool) {
        let mut layer = tar::Builder::new(Vec::new());
        layer.append_path_with_name(self.folder.path().join("root/busybox"), "busybox").unwrap();
        let layer = layer.into_inner().unwrap();
        let mut config = config;
        config["rootfs"] = json!({ "type": "layers", "diff_ids": [format!("sha256:{}", hex::encode(Sha256::digest(&layer)))] });
        let manifest =
            json!([{ "Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"] }]);
        let mut archive =
            tar::Builder::new(fs::File::create(self.folder.path().join("image.tar")).unwrap());
        let files = [
            ("config.json", config.to_string().into_bytes()),
            ("layer.tar", layer),
            ("manifest.json", manifest.to_string().into_bytes()),
        ];
        for (name, content) in files.into_iter().filter(|(name, _)| whole || *name != "layer.tar") {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, &content[..]).unwrap();
        }
        archive.into_inner().unwrap();
    }

    async fn printed(&self, reference: &str, arguments: &[&str]) -> Result<String, String> {
        let options = RunOptions::command(&[&["/busybox"], arguments].concat());
        let output =
            self.engine().run(reference, &options, RUN).await.map_err(|error| error.to_string())?;
        if output.code == 0 { Ok(output.stdout) } else { Err(output.stderr) }
    }
}

/// Each format that is written: whether it loads under its name.
async fn formats(trial: &CheckInput, facts: &mut Facts) {
    for format in ["docker", "dual", "oci"] {
        for compression in ["none", "gzip", "zstd"] {
            let (reference, _) = trial.build(
                &format!("{format}-{compression}"),
                &["--format", format, "--compress", compression],
            );
            let told = match trial.load(&reference).await {
                Ok(()) => "yes",
                Err(error) if error.contains("No such image") => "without its name",
                Err(_) => "no",
            };
            facts.push((format!("loads `{format}`, {compression}"), told.to_owned()));
        }
    }
}

async fn identity(trial: &CheckInput, facts: &mut Facts) {
    let (reference, id) = trial.build("identity", &[]);
    trial.load(&reference).await.unwrap();
    let found = trial.engine().inspect(&reference).await.unwrap();
    let by = if found.id == id { "config" } else { "manifest" };
    facts.push(("image ID: digest of the".to_owned(), by.to_owned()));
    facts.push((format!("lists `{reference}` as"), format!("`{}`", found.tags.join("`, `"))));
    let env = trial.printed(&reference, &["env"]).await.unwrap();
    let mut names: Vec<&str> = env.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    facts.push(("variables added to an empty environment".to_owned(), names.join(" ")));
}

/// What a config says that no process sees.
async fn kept(trial: &CheckInput, facts: &mut Facts) {
    let config = json!({ "Healthcheck": { "Test": ["CMD", "/busybox", "true"] }, "OnBuild": ["RUN /busybox true"] });
    let raw = |config| json!({ "architecture": "amd64", "os": "linux", "config": config });
    trial.write_raw("kept:1", raw(config), true);
    trial.load("kept:1").await.unwrap();
    let (mut health, mut on_build) = ("not in CRI", "not in CRI");
    if let Some(docker) = trial.engine().docker() {
        let config = docker.inspect("kept:1").await.unwrap().config.unwrap();
        let told = |is: bool| if is { "kept" } else { "dropped" };
        health = told(config.healthcheck.is_some());
        on_build = told(config.on_build.is_some_and(|lines| !lines.is_empty()));
    }
    facts.push(("health check".to_owned(), health.to_owned()));
    facts.push(("`OnBuild`".to_owned(), on_build.to_owned()));

    // The layer that the engine has just been given is not in the archive of an image that has it too.
    trial.write_raw("held:1", raw(json!({ "Labels": { "another": "image" } })), false);
    let loaded = trial.load("held:1").await;
    let takes = match loaded {
        Ok(()) => trial.printed("held:1", &["echo", "whole"]).await.is_ok(),
        Err(_) => false,
    };
    facts.push((
        "reuses layers already present".to_owned(),
        if takes { "yes" } else { "no" }.to_owned(),
    ));
    if let Some(docker) = trial.engine().docker() {
        assert_eq!(
            docker.needs_all_layers().await.unwrap(),
            !takes,
            "what `seatrial load` takes it for"
        );
    }
}

/// The questions that this project began with: a name that is twice in the environment, an architecture that is no GOARCH.
async fn raw_configs(trial: &CheckInput, facts: &mut Facts) {
    let env = json!(["PATH=/", "TWICE=first", "TWICE=last"]);
    trial.write_raw(
        "twice:1",
        json!({ "architecture": "amd64", "os": "linux", "config": { "Env": env } }),
        true,
    );
    trial.load("twice:1").await.unwrap();
    let twice = |seen: &str| {
        seen.lines()
            .filter_map(|line| line.strip_prefix("TWICE="))
            .collect::<Vec<_>>()
            .join(", then ")
    };
    let seen = trial.printed("twice:1", &["env"]).await.unwrap();
    facts.push(("`Env` with a name twice: the process sees".to_owned(), twice(&seen)));
    // What a program that asks its C library gets, and a shell, which keeps one of them.
    let asked = trial.printed("twice:1", &["sh", "-c", "echo $TWICE"]).await.unwrap();
    facts.push(("`Env` with a name twice: a shell sees".to_owned(), asked.trim().to_owned()));
    let options = RunOptions {
        env: vec!["TWICE=run".to_owned()],
        ..RunOptions::command(&["/busybox", "env"])
    };
    let seen = trial.engine().run("twice:1", &options, RUN).await.unwrap().stdout;
    facts.push(("`Env` with a name twice, and set at start".to_owned(), twice(&seen)));

    trial.write_raw(
        "foreign:1",
        json!({ "architecture": "x86_64", "os": "linux", "config": { "Env": ["PATH=/"] } }),
        true,
    );
    let told = match trial.load("foreign:1").await {
        Err(_) => "does not load".to_owned(),
        Ok(()) => match trial.printed("foreign:1", &["echo", "runs"]).await {
            Ok(_) => format!(
                "runs, as {}",
                trial.engine().inspect("foreign:1").await.unwrap().architecture
            ),
            Err(_) => "loads and does not run".to_owned(),
        },
    };
    facts.push(("architecture `x86_64`".to_owned(), told));
}

async fn facts(guest: &str) -> Facts {
    let trial = CheckInput::new(guest).await;
    let version = trial.engine().version().await.unwrap();
    let mut facts =
        vec![("version".to_owned(), version.split(['+', '-']).next().unwrap().to_owned())];
    identity(&trial, &mut facts).await;
    kept(&trial, &mut facts).await;
    raw_configs(&trial, &mut facts).await;
    formats(&trial, &mut facts).await;
    facts
}

/// The cells of the page's table by line and engine.
fn page() -> Vec<Vec<String>> {
    let text = fs::read_to_string(PAGE).unwrap();
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("|  |"))
        .take_while(|line| line.starts_with('|'));
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    lines.map(cells).collect()
}

async fn compare(engines: &[&str]) {
    let table = page();
    let head = &table[0];
    for engine in engines {
        let column = head
            .iter()
            .position(|name| name == engine)
            .unwrap_or_else(|| panic!("{engine} is not in the page"));
        let expected: Facts =
            table[2..].iter().map(|line| (line[0].clone(), line[column].clone())).collect();
        assert_eq!(facts(engine).await, expected, "{engine}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_docker_is_as_the_page_has_it() {
    compare(&["docker-20.10.5"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_docker_is_as_the_page_has_it() {
    compare(&["docker-28"]).await;
}

const TRIAL: &str = r#"
[[run]]
name = "prints"
exit_code = 3
stdout = "out\n"
stderr = "7:8 in /tmp\n"
[run.container]
command = ["/busybox", "sh", "-c", "echo out; echo $(/busybox id -u):$(/busybox id -g) in $PWD >&2; exit $CODE"]
env = { CODE = "3" }
user = "7:8"
working_dir = "/tmp"
[[run]]
name = "reads"
container = { command = ["/busybox", "cat"], stdin = "in\n" }
stdout = "in\n"
[[run]]
name = "is absent"
container.command = ["/absent"]
[[service]]
name = "serves"
container.command = ["/busybox", "sh", "-c", "/busybox httpd -p 8080; trap 'exit 5' TERM; while :; do /busybox sleep 0.1; done"]
ready.port = 8080
http = [{ port = 8080, path = "/absent", status = 404 }]
stop = { timeout = 9, exit_code = 5 }
"#;

#[test]
fn podman_and_a_node_of_kubernetes_run_an_image_or_say_what_they_cannot() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("root/tmp")).unwrap();
    fs::copy("/bin/busybox", root.join("root/busybox")).unwrap();
    fs::write(
        root.join("app.toml"),
        "name='app'\ntag='1'\ncontents='root'\n[config]\nEnv=['A=b']\n",
    )
    .unwrap();
    fs::write(root.join("expected.toml"), TRIAL).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    check.current_dir(root).args(["check", "app.toml", "--expect", "expected.toml", "--json"]);
    let output =
        check.args(["--engine", "podman-4.3", "--engine", "containerd-1.6"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cases = verdict["cases"].as_array().unwrap();
    for (engine, stdin, looks) in [
        ("podman-4.3", "passed", "executable file `/absent` not found"),
        ("containerd-1.6", "skipped", "stat /absent: no such file or directory"),
    ] {
        let of = cases.iter().filter(|case| case["engine"] == engine);
        let found: Vec<(&str, &str)> = of
            .map(|case| (case["name"].as_str().unwrap(), case["outcome"].as_str().unwrap()))
            .collect();
        let expected = [
            ("loads with the expected name", "passed"),
            ("environment of a container", "passed"),
            ("run prints", "passed"),
            ("run reads", stdin),
            ("run is absent", "failed"),
            ("service serves", "passed"),
        ];
        assert_eq!(found, expected, "{engine}: {cases:#?}");
        let absent =
            cases.iter().find(|case| case["engine"] == engine && case["name"] == "run is absent");
        assert!(absent.unwrap().to_string().contains(looks), "{absent:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_answers_nobody_without_the_key_neither_its_runtime_nor_its_own_program() {
    let daemon =
        Daemon::start("containerd-1.6", Default::default()).await.unwrap_or_else(|e| panic!("{e}"));
    let (port, keys) = (daemon.vm().port(), daemon.vm().folder());
    for name in ["localhost", "node.localhost"] {
        let ask = |with_key: bool| {
            let mut curl = Command::new("curl");
            curl.args(["-s", "-m", "10", "--http0.9", "-d", "log /var/log/pods/none", "--cacert"]);
            curl.arg(keys.join("ca.pem")).args(["--resolve", &format!("{name}:{port}:127.0.0.1")]);
            if with_key {
                curl.arg("--cert")
                    .arg(keys.join("cert.pem"))
                    .arg("--key")
                    .arg(keys.join("key.pem"));
            }
            let output = curl.arg(format!("https://{name}:{port}/")).output().unwrap();
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let (code, said) = ask(false);
        assert!(code != Some(0) && said.is_empty(), "{name}: {code:?} {said:?}");
        if name == "node.localhost" {
            assert!(ask(true).1.contains("unknown request"), "with the key it answers");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; for the nightly run"]
async fn every_engine_is_as_the_page_has_it() {
    let engines: Vec<&str> = Definition::names().collect();
    let Ok(update) = std::env::var("SEATRIAL_UPDATE") else {
        return compare(&engines).await;
    };
    let old = page();
    let known = |engine: &str| {
        let column = old[0].iter().position(|name| name == engine)?;
        let anew = update.split(',').any(|name| name == engine || name == "all");
        (!anew)
            .then(|| old[2..].iter().map(|line| (line[0].clone(), line[column].clone())).collect())
    };
    // Two at a time, as many as machines are run at once where there are two CPUs.
    let columns = engines.iter().map(|engine| {
        let known: Option<Facts> = known(engine);
        async move {
            match known {
                Some(facts) => facts,
                None => facts(engine).await,
            }
        }
    });
    let columns: Vec<Facts> = stream::iter(columns).buffered(2).collect().await;
    let row = |first: &str, cells: Vec<&str>| format!("| {first} | {} |\n", cells.join(" | "));
    let mut table = row("", engines.clone()) + &row("---", vec!["---"; engines.len()]);
    for (index, (what, _)) in columns[0].iter().enumerate() {
        table.push_str(&row(what, columns.iter().map(|facts| facts[index].1.as_str()).collect()));
    }
    write(&table);
}

/// Puts `table` in the place of the page's.
fn write(table: &str) {
    let path = Path::new(PAGE);
    let text = fs::read_to_string(path).unwrap();
    let mut parts = text.split("<!-- table -->\n");
    let (before, after) = (parts.next().unwrap(), parts.nth(1).unwrap());
    let mark = "<!-- table -->\n";
    fs::write(path, format!("{before}{mark}{table}{mark}{after}")).unwrap();
}
