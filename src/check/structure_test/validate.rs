//! The rules for values of a container-structure-test file: its `Validate` methods.

use super::document::{MetadataTest, StructureTest};
use crate::text;

/// Checks the values of `test` that must not be empty.
pub(super) fn validate(test: &StructureTest) -> Result<(), String> {
    for test in &test.command_tests {
        let of_test =
            |problem: &str| Err(format!("command test {}: {problem}", text::quote(&test.name)));
        if test.name.is_empty() || test.command.is_empty() {
            return of_test("it needs a name and a command");
        }
        if test.setup.iter().chain(&test.teardown).any(Vec::is_empty) {
            return of_test("a command of setup or teardown is empty");
        }
        if test.env_vars.iter().any(|it| it.key.is_empty() || it.value.is_empty()) {
            return of_test("each of envVars needs a key and a value that are not empty");
        }
    }
    let existence = test.file_existence_tests.iter().map(|test| (&test.name, &test.path));
    let content = test.file_content_tests.iter().map(|test| (&test.name, &test.path));
    for (name, path) in existence.chain(content) {
        if name.is_empty() || path.is_empty() {
            let (name, path) = (text::quote(name), text::quote(path));
            return Err(format!("file test {name} of {path}: it needs a name and a path"));
        }
    }
    validate_metadata(&test.metadata_test)
}

fn validate_metadata(test: &MetadataTest) -> Result<(), String> {
    let has_empty = [
        ("envVars has an empty key", test.env_vars.iter().any(|it| it.key.is_empty())),
        ("labels has an empty key", test.labels.iter().any(|it| it.key.is_empty())),
        ("exposedPorts has an empty port", test.exposed_ports.iter().any(String::is_empty)),
        ("volumes has an empty path", test.volumes.iter().any(String::is_empty)),
    ];
    match has_empty.into_iter().find(|(_, is_so)| *is_so) {
        Some((problem, _)) => Err(format!("metadata test: {problem}")),
        None => Ok(()),
    }
}
