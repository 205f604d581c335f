//! Commands, flags and printed JSON against docs/cli.md.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

#[cfg(feature = "vm")]
use crate::documented;
use crate::{assert_documented, read, seatrial};

/// The section of docs/cli.md that describes `command`, such as `vm up`.
fn section(command: &str) -> String {
    let page = read("docs/cli.md");
    let heading = format!("## `seatrial {command}`\n");
    let rest =
        page.split_once(&heading).unwrap_or_else(|| panic!("docs/cli.md has no {heading}")).1;
    let end = rest.find("\n## ").unwrap_or(rest.len());
    let own = rest[..end].split("\n### `").next().unwrap_or(rest);
    own.to_owned()
}

/// The first words of the lines below `heading` in a help text.
fn listed<'h>(help: &'h str, heading: &str) -> Vec<&'h str> {
    let lines = help.lines().skip_while(|line| *line != heading).skip(1);
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with(' '));
    // A name is indented less than the descriptions.
    let names = lines.filter(|line| line.find(|c| c != ' ').is_some_and(|indent| indent < 8));
    let words = names.filter_map(|line| line.split_whitespace().find(|word| !word.ends_with(',')));
    // A flag whose value is optional has it in brackets.
    words.map(|word| word.split('[').next().unwrap_or(word)).collect()
}

/// Checks `command` and its subcommands.
fn check(command: &str) {
    let words: Vec<&str> = command.split(' ').filter(|word| !word.is_empty()).collect();
    let help = seatrial(&[&words, ["--help"].as_slice()].concat());
    let subcommands = listed(&help, "Commands:");
    if !words.is_empty() {
        let common = read("docs/cli.md");
        let common = common.split("## Recipes on the command line").nth(1).unwrap();
        let text = section(command) + common.split("\n## ").next().unwrap();
        let mut flags = listed(&help, "Options:");
        flags.retain(|flag| !["--help", "--quiet"].contains(flag));
        if !flags.is_empty() {
            assert_documented(flags, &text, &format!("docs/cli.md, seatrial {command},"));
        }
    }
    for subcommand in subcommands.into_iter().filter(|name| *name != "help") {
        check(format!("{command} {subcommand}").trim_start());
    }
}

#[test]
fn every_command_and_flag_is_in_the_reference() {
    assert!(listed(&seatrial(&["--help"]), "Commands:").contains(&"build"));
    assert!(listed(&seatrial(&["build", "--help"]), "Options:").contains(&"--output"));
    check("");
}

/// The keys of `value`, and of the objects in it except `config`, which is Docker's.
pub fn keys(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                found.push(key.clone());
                if key != "config" {
                    keys(value, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn every_key_of_the_json_of_an_image_is_in_the_reference() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::create_dir(path("root")).unwrap();
    fs::write(path("root/file"), "").unwrap();
    let recipe = "name = 'x'\ncontents = 'root'\n[config]\nEnv = ['TOKEN=secret']\n";
    fs::write(path("recipe.toml"), recipe).unwrap();
    let (recipe, image) = (path("recipe.toml"), path("x.tar"));
    let built =
        seatrial(&["build", &recipe, "-o", &image, "--format", "oci", "--no-cache", "--json"]);
    let built: Value = serde_json::from_str(&built).unwrap();
    let inspected = seatrial(&["inspect", &image, "--json"]);
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    let mut found = Vec::new();
    keys(&built, &mut found);
    keys(&inspected, &mut found);
    assert!(
        ["diff_id", "rule"].iter().all(|key| found.iter().any(|name| name == key)),
        "{found:?}"
    );
    assert_documented(found, &read("docs/cli.md"), "docs/cli.md");
}

#[test]
#[cfg(feature = "vm")]
fn every_documented_flag_exists() {
    fn helps(command: &[&str], all: &mut String) {
        let help = seatrial(&[command, ["--help"].as_slice()].concat());
        for subcommand in listed(&help, "Commands:").into_iter().filter(|name| *name != "help") {
            helps(&[command, &[subcommand]].concat(), all);
        }
        all.push_str(&help);
    }
    let mut help = String::new();
    helps(&[], &mut help);
    let flags = documented(&read("docs/cli.md")).into_iter().filter(|word| word.starts_with("--"));
    let unknown: Vec<String> = flags.filter(|flag| *flag != "--" && !help.contains(flag)).collect();
    assert!(unknown.is_empty(), "docs/cli.md documents {unknown:?}, which no command has");
}

#[test]
#[cfg(feature = "vm")]
fn every_key_of_the_json_of_a_verdict_is_in_the_reference() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("recipe.toml"), "name = 'x'\n").unwrap();
    let expectations = "[image]\nuser = 'nobody'\n[[run]]\nname = 'x'\n";
    fs::write(path("expect.toml"), expectations).unwrap();
    let (recipe, expect) = (path("recipe.toml"), path("expect.toml"));
    let verdict = seatrial(&["check", &recipe, "--expect", &expect, "--no-vm", "--json"]);
    let mut found = Vec::new();
    keys(&serde_json::from_str(&verdict).unwrap(), &mut found);
    assert!(["mismatches", "reason"].iter().all(|key| found.iter().any(|name| name == key)));
    assert_documented(found, &read("docs/cli.md"), "docs/cli.md");
}
