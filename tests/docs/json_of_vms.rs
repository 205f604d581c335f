//! The JSON of named VMs, of the cache of VMs and of replays against docs/cli.md.

use std::fs;
use std::process::Command;
use std::time::Duration;

use seatrial::engine::TimelineEvent;
use seatrial::replay::{Outcome, Replay, Run, WaitStrategy};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::keys;
use crate::{assert_documented, read};

/// The text about JSON that `command` prints, and that about events and checks.
fn json_section(command: &str) -> String {
    let page = read("docs/cli.md");
    let (_, json) = page.split_once("\n## JSON\n").unwrap();
    let start = format!("\n`{command}");
    let (_, rest) = json.split_once(&start).unwrap_or_else(|| panic!("no JSON of {command}"));
    let own = rest.split("\n`seatrial ").next().unwrap();
    let (_, events) = json.split_once("An event of a timeline has").unwrap();
    format!("`{command}{own}\n\n{}", events.split("\n\n").next().unwrap())
}

/// Fails if the section has a key of `objects` that is not in it, or lists one that they lack.
fn assert_section(command: &str, objects: &Value) {
    let section = json_section(command);
    let mut found = Vec::new();
    keys(objects, &mut found);
    assert_documented(&found, &section, &format!("the JSON of {command}"));
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    for row in rows {
        let first = row.split(" | ").next().unwrap();
        for path in first.split('`').skip(1).step_by(2) {
            let key = path.rsplit('.').next().unwrap();
            assert!(found.iter().any(|name| name == key), "{command} prints no {path}");
        }
    }
}

#[test]
fn every_key_of_the_json_of_replays_is_in_its_section() {
    let run = Run {
        strategy: WaitStrategy::Ready,
        outcome: Outcome::Slow,
        waited: 0.0,
        took: 0.0,
        message: String::new(),
        lag: None,
        timeline: vec![TimelineEvent {
            at: Duration::ZERO,
            guest: Some(Duration::ZERO),
            what: "ready".to_owned(),
        }],
    };
    let replay = Replay {
        scenario: "original".to_owned(),
        title: String::new(),
        link: None,
        engine: "docker-28".to_owned(),
        breaks: Vec::new(),
        runs: vec![run],
    };
    assert_section("seatrial replay --json", &json!({ "replays": [replay] }));
    let section = json_section("seatrial replay --json");
    for outcome in ["worked", "slow", "hung", "failed", "never-started", "error"] {
        serde_json::from_value::<Outcome>(outcome.into()).unwrap();
        assert!(section.contains(&format!("`{outcome}`")), "{outcome}");
    }
}

#[test]
fn every_key_of_the_json_of_named_vms_and_of_the_cache_is_in_its_section() {
    let cache = TempDir::new().unwrap();
    let list = || -> Value {
        let mut list = Command::new(env!("CARGO_BIN_EXE_seatrial"));
        let output = list.args(["vm", "list", "--json"]).env("XDG_CACHE_HOME", cache.path());
        let output = output.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    assert_eq!(list()["cache"], json!([]));
    fs::create_dir(cache.path().join("seatrial/guests/docker-28-0123")).unwrap();
    // The state of a VM whose background process runs, as its lock says. It has all fields: one
    // that is not here is an error, and no VM is listed.
    let vm = json!({
        "name": "docker-28", "guest": "docker-28", "accelerator": "tcg", "port": 4000,
        "folder": "/run/vm", "background_pid": 1, "qemu_pid": 2, "since": 1_700_000_000,
        "timeline": [{ "at": 0.5, "guest": null, "what": "ready" }],
    });
    let folder = cache.path().join("seatrial/vms/vm-0123");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("vm.json"), vm.to_string()).unwrap();
    let lock = fs::File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();

    let mut listed = list();
    assert_eq!(listed["cache"][0]["guest"], "docker-28", "{listed}");
    assert_section("seatrial vm up --json", &listed["vms"][0]);
    assert_eq!(listed["vms"].take(), json!([vm]));
    assert_section("seatrial vm list --json", &listed);
}
