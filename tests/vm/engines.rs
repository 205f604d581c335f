//! Compares the table in `docs/engines.md` with engines, each in a new VM. The gate tests an old
//! Docker and the newest one, the nightly run all engines (`--ignored`). With
//! `SEATRIAL_UPDATE=ENGINE,...`, that test writes the columns of these engines, and of new ones.

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

use crate::workbench::run;

const RUN_TIMEOUT: Duration = Duration::from_secs(120);
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/engines.md");

/// The rows of the table for one engine: property and value.
type Facts = Vec<(String, String)>;

/// An engine, and a folder in which images are made for it.
struct Fixture {
    daemon: Daemon,
    folder: TempDir,
}

impl Fixture {
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

    /// Builds an image that differs from all others, and returns its reference and ID.
    fn build(&self, name: &str, arguments: &[&str]) -> (String, String) {
        let root = self.folder.path();
        let recipe = format!("name='{name}'\ntag='1'\ncontents='root'\n");
        fs::write(root.join("root/name"), name).unwrap();
        fs::write(root.join("recipe.toml"), recipe).unwrap();
        let mut build = Command::new(env!("CARGO_BIN_EXE_seatrial"));
        build.args(["build", "recipe.toml", "--json", "-o", "image.tar"]).args(arguments);
        let output = run(build.current_dir(root));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        (format!("{name}:1"), summary["id"].as_str().unwrap().to_owned())
    }

    async fn load(&self, reference: &str) -> Result<(), String> {
        let archive = self.folder.path().join("image.tar");
        let loaded = self.daemon.load_archive(&archive, reference).await;
        loaded.map(drop).map_err(|error| error.to_string())
    }

    /// Writes an image with a config that seatrial would not write. Its archive can omit the layer.
    fn write_raw(&self, name: &str, config: Value, with_layer: bool) {
        let mut layer = tar::Builder::new(Vec::new());
        layer.append_path_with_name(self.folder.path().join("root/busybox"), "busybox").unwrap();
        let layer = layer.into_inner().unwrap();
        let diff_id = format!("sha256:{}", hex::encode(Sha256::digest(&layer)));
        let mut config = config;
        config["rootfs"] = json!({ "type": "layers", "diff_ids": [diff_id] });
        let manifest =
            json!([{ "Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"] }]);
        let mut files = vec![
            ("config.json", config.to_string().into_bytes()),
            ("manifest.json", manifest.to_string().into_bytes()),
        ];
        if with_layer {
            files.insert(1, ("layer.tar", layer));
        }
        let archive = fs::File::create(self.folder.path().join("image.tar")).unwrap();
        let mut archive = tar::Builder::new(archive);
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, &content[..]).unwrap();
        }
        archive.into_inner().unwrap();
    }

    /// Runs busybox in a container of the image, and returns its output.
    async fn busybox(&self, reference: &str, arguments: &[&str]) -> Result<String, String> {
        let options = RunOptions::command(&[&["/busybox"], arguments].concat());
        let output = self.engine().run(reference, &options, RUN_TIMEOUT).await;
        let output = output.map_err(|error| error.to_string())?;
        if output.code == 0 { Ok(output.stdout) } else { Err(output.stderr) }
    }
}

/// Tests whether each archive format loads with the image's name.
async fn archive_formats(fixture: &Fixture, facts: &mut Facts) {
    for format in ["docker", "dual", "oci"] {
        for compression in ["none", "gzip", "zstd"] {
            let arguments = ["--format", format, "--compress", compression];
            let (reference, _) = fixture.build(&format!("{format}-{compression}"), &arguments);
            let result = match fixture.load(&reference).await {
                Ok(()) => "yes",
                Err(error) if error.contains("No such image") => "without its name",
                Err(_) => "no",
            };
            facts.push((format!("loads `{format}`, {compression}"), result.to_owned()));
        }
    }
}

async fn identity(fixture: &Fixture, facts: &mut Facts) {
    let (reference, id) = fixture.build("identity", &[]);
    fixture.load(&reference).await.unwrap();
    let found = fixture.engine().inspect(&reference).await.unwrap();
    let document = if found.id == id { "config" } else { "manifest" };
    facts.push(("image ID: digest of the".to_owned(), document.to_owned()));
    facts.push((format!("lists `{reference}` as"), format!("`{}`", found.tags.join("`, `"))));
    let env = fixture.busybox(&reference, &["env"]).await.unwrap();
    let mut names: Vec<&str> = env.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    facts.push(("variables added to an empty environment".to_owned(), names.join(" ")));
}

/// Tests which fields of a config the engine keeps.
async fn config_fields(fixture: &Fixture, facts: &mut Facts) {
    let healthcheck = json!({ "Test": ["CMD", "/busybox", "true"] });
    let config = json!({ "Healthcheck": healthcheck, "OnBuild": ["RUN /busybox true"] });
    fixture.write_raw("fields:1", raw(config), true);
    fixture.load("fields:1").await.unwrap();
    let (mut health, mut on_build) = ("not in CRI", "not in CRI");
    if let Some(docker) = fixture.engine().docker() {
        let config = docker.inspect("fields:1").await.unwrap().config.unwrap();
        let word = |kept: bool| if kept { "kept" } else { "dropped" };
        health = word(config.healthcheck.is_some());
        on_build = word(config.on_build.is_some_and(|lines| !lines.is_empty()));
    }
    facts.push(("health check".to_owned(), health.to_owned()));
    facts.push(("`OnBuild`".to_owned(), on_build.to_owned()));
}

/// Tests whether an archive may omit a layer that the engine has from another image.
async fn layer_reuse(fixture: &Fixture, facts: &mut Facts) {
    fixture.write_raw("reuse:1", raw(json!({ "Labels": { "another": "image" } })), false);
    let reuses = match fixture.load("reuse:1").await {
        Ok(()) => fixture.busybox("reuse:1", &["echo", "complete"]).await.is_ok(),
        Err(_) => false,
    };
    let word = if reuses { "yes" } else { "no" };
    facts.push(("reuses layers already present".to_owned(), word.to_owned()));
    if let Some(docker) = fixture.engine().docker() {
        let needs_all = docker.needs_all_layers().await.unwrap();
        assert_eq!(needs_all, !reuses, "`seatrial load` relies on this");
    }
}

fn raw(config: Value) -> Value {
    json!({ "architecture": "amd64", "os": "linux", "config": config })
}

/// Tests an environment with a duplicate name.
async fn duplicate_variable(fixture: &Fixture, facts: &mut Facts) {
    let env = json!(["PATH=/", "TWICE=first", "TWICE=last"]);
    fixture.write_raw("twice:1", raw(json!({ "Env": env })), true);
    fixture.load("twice:1").await.unwrap();
    let values = |env: &str| {
        let values = env.lines().filter_map(|line| line.strip_prefix("TWICE="));
        values.collect::<Vec<_>>().join(", then ")
    };
    let env = fixture.busybox("twice:1", &["env"]).await.unwrap();
    facts.push(("`Env` with a name twice: the process sees".to_owned(), values(&env)));
    // The C library and shells keep one of the values.
    let shell = fixture.busybox("twice:1", &["sh", "-c", "echo $TWICE"]).await.unwrap();
    facts.push(("`Env` with a name twice: a shell sees".to_owned(), shell.trim().to_owned()));
    let options = RunOptions {
        env: vec!["TWICE=run".to_owned()],
        ..RunOptions::command(&["/busybox", "env"])
    };
    let output = fixture.engine().run("twice:1", &options, RUN_TIMEOUT).await.unwrap();
    let value = values(&output.stdout);
    facts.push(("`Env` with a name twice, and set at start".to_owned(), value));
}

/// Tests an architecture that is not named as Go names it.
async fn uname_architecture(fixture: &Fixture, facts: &mut Facts) {
    let mut config = raw(json!({ "Env": ["PATH=/"] }));
    config["architecture"] = "x86_64".into();
    fixture.write_raw("foreign:1", config, true);
    let result = match fixture.load("foreign:1").await {
        Err(_) => "does not load".to_owned(),
        Ok(()) => match fixture.busybox("foreign:1", &["echo", "runs"]).await {
            Ok(_) => {
                let found = fixture.engine().inspect("foreign:1").await.unwrap();
                format!("runs, as {}", found.architecture)
            }
            Err(_) => "loads and does not run".to_owned(),
        },
    };
    facts.push(("architecture `x86_64`".to_owned(), result));
}

/// Measures all rows of the table for one engine, in the order of the table.
async fn facts(guest: &str) -> Facts {
    let fixture = Fixture::new(guest).await;
    let version = fixture.engine().version().await.unwrap();
    let version = version.split(['+', '-']).next().unwrap().to_owned();
    let mut facts = vec![("version".to_owned(), version)];
    identity(&fixture, &mut facts).await;
    config_fields(&fixture, &mut facts).await;
    layer_reuse(&fixture, &mut facts).await;
    duplicate_variable(&fixture, &mut facts).await;
    uname_architecture(&fixture, &mut facts).await;
    archive_formats(&fixture, &mut facts).await;
    facts
}

/// Returns the cells of the table in the documentation.
fn table() -> Vec<Vec<String>> {
    let text = fs::read_to_string(PAGE).unwrap();
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("|  |"))
        .take_while(|line| line.starts_with('|'));
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    lines.map(cells).collect()
}

/// Compares engines with the table.
async fn compare(engines: &[&str]) {
    let table = table();
    for engine in engines {
        let column = table[0].iter().position(|name| name == engine);
        let column = column.unwrap_or_else(|| panic!("{engine} is not in {PAGE}"));
        let expected: Facts =
            table[2..].iter().map(|row| (row[0].clone(), row[column].clone())).collect();
        assert_eq!(facts(engine).await, expected, "{engine}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_docker_behaves_as_documented() {
    compare(&["docker-20.10"]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "for the nightly run"]
async fn the_newest_docker_behaves_as_documented() {
    compare(&["docker-28"]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; for the nightly run"]
async fn every_engine_behaves_as_documented() {
    let engines: Vec<&str> = Definition::names().collect();
    let Ok(update) = std::env::var("SEATRIAL_UPDATE") else {
        return compare(&engines).await;
    };
    let old = table();
    let documented = |engine: &str| -> Option<Facts> {
        let column = old[0].iter().position(|name| name == engine)?;
        let measure = update.split(',').any(|name| name == engine || name == "all");
        let rows = old[2..].iter().map(|row| (row[0].clone(), row[column].clone()));
        (!measure).then(|| rows.collect())
    };
    let columns = engines.iter().map(|engine| {
        let documented = documented(engine);
        async move {
            match documented {
                Some(facts) => facts,
                None => facts(engine).await,
            }
        }
    });
    // Two at a time: as many VMs as run at once on two CPUs.
    let columns: Vec<Facts> = stream::iter(columns).buffered(2).collect().await;
    let row = |first: &str, cells: Vec<&str>| format!("| {first} | {} |\n", cells.join(" | "));
    let mut table = row("", engines.clone()) + &row("---", vec!["---"; engines.len()]);
    for (index, (property, _)) in columns[0].iter().enumerate() {
        let cells = columns.iter().map(|facts| facts[index].1.as_str()).collect();
        table.push_str(&row(property, cells));
    }
    replace_table(&table);
}

/// Replaces the table in the documentation.
fn replace_table(table: &str) {
    const MARK: &str = "<!-- table -->\n";
    let path = Path::new(PAGE);
    let text = fs::read_to_string(path).unwrap();
    let mut parts = text.split(MARK);
    let (before, after) = (parts.next().unwrap(), parts.nth(1).unwrap());
    fs::write(path, format!("{before}{MARK}{table}{MARK}{after}")).unwrap();
}
