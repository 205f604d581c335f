//! Keys of files, environment variables and lint rules against their pages.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{assert_documented, read, seatrial};

/// The names that the program lists when it reads a file with a mistake in it.
fn listed(text: &str, command: &[&str]) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file.toml").display().to_string();
    fs::write(&path, text).unwrap();
    let error = seatrial(&[command, &[path.as_str()]].concat());
    let line = error.lines().next().unwrap_or_default();
    let list = line.rsplit_once(": ").map_or("", |(_, list)| list);
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn every_key_of_a_recipe_is_in_its_reference() {
    let page = read("docs/recipe.md");
    let tables = [
        "",
        "[store]\n",
        "[[run]]\n",
        "[[contents]]\n",
        "[contents.mode]\n",
        "[[path]]\n",
        "[[layer]]\n",
        "[accounts]\n",
        "[[accounts.users]]\n",
        "[[accounts.groups]]\n",
    ];
    for table in tables {
        let keys = listed(&format!("name = 'x'\n{table}qqqqqqqqqqqqqq = 1\n"), &["reference"]);
        assert_documented(keys, &page, "docs/recipe.md");
    }
    assert_documented(["platforms", "per_platform"], &page, "docs/recipe.md");
}

#[test]
fn every_field_of_config_is_in_the_recipe_reference() {
    let source = read("src/image/fields.rs");
    let code = source.split("#[cfg(test)]").next().unwrap();
    let fields = code.split("field(\"").skip(1).filter_map(|rest| rest.split('"').next());
    assert_documented(fields, &read("docs/recipe.md"), "docs/recipe.md");
}

#[test]
#[cfg(feature = "vm")]
fn every_key_of_expectations_is_in_their_reference() {
    let schema: serde_json::Value =
        serde_json::from_str(&seatrial(&["check", "--schema"])).unwrap();
    let definitions = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    let keys = definitions.filter_map(|definition| definition["properties"].as_object());
    let keys: Vec<&String> = keys.flat_map(|properties| properties.keys()).collect();
    assert!(keys.iter().any(|key| *key == "shares_layers"), "{keys:?}");
    assert_documented(keys, &read("docs/expectations.md"), "docs/expectations.md");
}

#[test]
#[cfg(feature = "vm")]
fn every_key_of_a_scenario_is_in_its_reference() {
    let page = read("docs/scenarios.md");
    for text in [
        "qqqqqqqqqqqqqq = 1\n",
        "title = 'x'\n[client]\nqqqqqqqqqqqqqq = 1\n",
        "title = 'x'\n[on.docker]\nqqqqqqqqqqqqqq = 1\n",
        "title = 'x'\n[[on.docker.fault]]\nqqqqqqqqqqqqqq = 1\n",
    ] {
        assert_documented(listed(text, &["replay"]), &page, "docs/scenarios.md");
    }
    let faults = listed("title = 'x'\n[[on.docker.fault]]\naction = 'qq'\n", &["replay"]);
    let faults = faults.iter().filter_map(|fault| fault.split(' ').next());
    assert_documented(faults, &page, "docs/scenarios.md");
    // "unknown value "qq"; expected "boot", ..."
    let modes = listed("title = 'x'\nstart = 'qq'\n", &["replay"]);
    let modes = modes.iter().filter_map(|mode| mode.split('"').rev().nth(1));
    assert_documented(modes, &page, "docs/scenarios.md");
}

#[test]
#[cfg(feature = "vm")]
fn every_wait_strategy_is_in_the_page_on_timing() {
    let strategies = listed("", &["replay", "--wait", "qq"]);
    let strategies = strategies.iter().filter_map(|strategy| strategy.split(':').next());
    assert_documented(strategies, &read("docs/timing.md"), "docs/timing.md");
}

/// Every Rust file below src, without its tests.
fn sources() -> Vec<String> {
    fn add(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { add(&path, files) } else { files.push(path) }
        }
    }
    let mut files = Vec::new();
    add(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let rust = files.iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap();
    rust.map(|path| text(path).split("#[cfg(test)]").next().unwrap().to_owned()).collect()
}

#[test]
fn every_environment_variable_is_in_their_reference() {
    let ours = ["SEATRIAL_", "DOCKER_", "XDG_", "SOURCE_DATE_"];
    let mut names = vec!["TMPDIR".to_owned()]; // read by the standard library
    for line in sources().iter().flat_map(|source| source.lines()) {
        let strings = line.split('"').skip(1).step_by(2);
        let upper = |text: &&str| text.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let read = line.contains("env::var") && !line.contains("env::vars");
        let variables = strings.filter(upper).filter(|text| {
            text.len() > 3 && (read || ours.iter().any(|start| text.starts_with(start)))
        });
        names.extend(variables.map(str::to_owned));
    }
    assert!(names.iter().any(|name| name == "SEATRIAL_CACHE_MIB"), "{names:?}");
    assert_documented(names, &read("docs/environment.md"), "docs/environment.md");
}

#[test]
fn every_lint_rule_is_in_the_reference() {
    let mut rules = Vec::new();
    for file in ["accounts", "config", "container", "contents", "files"] {
        let source = read(&format!("src/lint/{file}.rs"));
        let strings = source.split("#[cfg(test)]").next().unwrap().split('"').skip(1).step_by(2);
        let plain = |text: &&str| {
            text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        rules.extend(strings.filter(plain).filter(|text| text.contains('-')).map(str::to_owned));
    }
    assert!(rules.iter().any(|rule| rule == "duplicate-env"), "{rules:?}");
    rules.sort();
    rules.dedup();
    assert_eq!(rules, seatrial::lint::RULES);
    assert_documented(rules, &read("docs/cli.md"), "docs/cli.md");
}
