//! Reads a goss file and converts it into expectations.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::container::{command, port, process};
use super::document::Gossfile;
use super::load::{Loaded, SUPPORTED, load};
use super::properties::{file, group, package, user};
use super::request::request;
use crate::archive::ArchiveError;
use crate::check::CheckError;
use crate::check::expectations::{Expectations, GossTest, ReadyConditions, ServiceExpectations};
use crate::document::{self, DocumentError};
use crate::text;

/// The types of resources that are supported.
pub(in crate::check) const RESOURCES: [&str; 8] =
    ["file", "command", "http", "port", "user", "group", "process", "package"];
/// The name of the service that is the container of a goss file.
const SERVICE: &str = "of goss";

/// Whether `text`, the content of the file at `path`, is a goss file: a document whose top level
/// has tables with the names of goss's types of resources.
pub(in crate::check) fn is_gossfile(path: &Path, text: &str) -> bool {
    if !document::is_yaml(path) && !document::is_json(path, text) {
        return false;
    }
    // Templates are not YAML before they are rendered.
    let is_template = document::is_yaml(path) && text.contains("{{");
    let others = [
        "addr",
        "dns",
        "gossfile",
        "interface",
        "kernel-param",
        "matching",
        "mount",
        "registry",
        "service",
    ];
    match document::parse::<Value>(path, text) {
        Ok(Value::Object(table)) if table.contains_key("schemaVersion") => false,
        Ok(Value::Object(table)) => RESOURCES
            .iter()
            .chain(&others)
            .any(|name| table.get(*name).is_some_and(|value| value.is_object())),
        _ => is_template,
    }
}

/// Parses `text`, the content of the goss file at `path`, as expectations: of a service that is
/// started as the image has it.
///
/// # Errors
/// If the text is malformed, is a template, has unknown keys, types of resources or matchers that
/// are not supported, or no test.
pub(in crate::check) fn parse(path: &Path, text: &str) -> Result<Expectations, CheckError> {
    let service = ServiceExpectations {
        tests: tests(path, text)?,
        ..ServiceExpectations::new(SERVICE, ReadyConditions::default())
    };
    // A goss file says nothing about duplicate variables.
    let mut expectations = Expectations { service: vec![service], ..Expectations::default() };
    expectations.env.unique = Some(false);
    Ok(expectations)
}

/// Reads the tests of the goss file at `path`.
///
/// # Errors
/// If it cannot be read, is not a goss file, or [`parse`] refuses it.
pub(in crate::check) fn read(path: &Path) -> Result<Vec<GossTest>, CheckError> {
    let text = document::read(path, document::MAX_SIZE).map_err(ArchiveError::read(path))?;
    if is_gossfile(path, &text) {
        return tests(path, &text);
    }
    let has_format = document::is_yaml(path) || document::is_json(path, &text);
    let syntax_error = has_format.then(|| document::parse::<Value>(path, &text).err()).flatten();
    Err(match syntax_error {
        Some(DocumentError { place, problem }) => {
            CheckError::Expectations { place, problem: problem.text }
        }
        None => CheckError::Expectations {
            place: text::path(path),
            problem: format!(
                "it is not a goss file, which is YAML (.yaml, .yml) or JSON with tables such as \
                 {SUPPORTED}"
            ),
        },
    })
}

/// Returns the files that the goss file at `path` names; none if it is malformed.
pub(in crate::check) fn named_files(path: &Path) -> Vec<PathBuf> {
    let Ok(text) = document::read(path, document::MAX_SIZE) else { return Vec::new() };
    let Ok(Loaded { gossfile, mut files }) = load(path, &text) else { return Vec::new() };
    files.extend(gossfile.files_of_requests().cloned());
    files
}

/// Returns the tests in `text`, the content of the goss file at `path`.
fn tests(path: &Path, text: &str) -> Result<Vec<GossTest>, CheckError> {
    let invalid = |problem: String| CheckError::Expectations { place: text::path(path), problem };
    let tests = convert(load(path, text)?.gossfile).map_err(invalid)?;
    match tests.is_empty() {
        true => Err(invalid("the file has no tests".to_owned())),
        false => Ok(tests),
    }
}

/// Converts the resources of a goss file into tests, in the order of reports.
fn convert(gossfile: Gossfile) -> Result<Vec<GossTest>, String> {
    let files = gossfile.file.into_iter().map(|(id, it)| file(&id, it));
    let users = gossfile.user.into_iter().map(|(id, it)| user(&id, it));
    let groups = gossfile.group.into_iter().map(|(id, it)| group(&id, it));
    let packages = gossfile.package.into_iter().map(|(id, it)| package(&id, it));
    let properties = files.chain(users).chain(groups).chain(packages);
    let ports = gossfile.port.into_iter().map(|(id, it)| port(&id, it));
    let processes = gossfile.process.into_iter().map(|(id, it)| process(&id, it));
    let requests = gossfile.http.into_iter().map(|(id, it)| request(&id, it));
    let commands = gossfile.command.into_iter().map(|(id, it)| command(&id, it));
    properties.chain(ports).chain(processes).chain(requests).chain(commands).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the tests, and whether the file skips them.
    fn names(yaml: &str) -> Vec<(String, bool)> {
        let tests = super::tests(Path::new("goss.yaml"), yaml).unwrap();
        tests.into_iter().map(|test| (test.name, test.expected.is_none())).collect()
    }

    #[test]
    fn skipped_tests_of_every_type_are_kept_by_name() {
        let yaml = "
command: { a: { exec: x, exit-status: 0, skip: true }, b: { exit-status: 0 } }
http: { 'https://example.org/': { status: 200, skip: true } }
port: { 'tcp:80': { listening: true, skip: true } }
process: { web: { comm: nginx, running: true, skip: true } }
file: { /x: { exists: true, skip: true } }
user: { y: { username: z, exists: true, skip: true } }
";
        let expected = [
            ("file /x", true),
            ("user z", true),
            ("port tcp:80", true),
            ("process nginx", true),
            ("http https://example.org/", true),
            ("command a", true),
            ("command b", false),
        ];
        assert_eq!(names(yaml), expected.map(|(name, skipped)| (name.to_owned(), skipped)));
    }

    #[test]
    fn a_file_whose_tests_are_all_skipped_has_tests() {
        let yaml = "command: { a: { exit-status: 0, skip: true } }";
        assert_eq!(names(yaml), [("command a".to_owned(), true)]);
        let expectations = parse(Path::new("goss.yaml"), yaml).unwrap();
        assert!(!expectations.service[0].has_own_case());
    }
}
