//! An expectations file.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Expectations, contradictions};
use crate::archive::ArchiveError;
use crate::check::{CheckError, goss, structure_test};
use crate::document::{self, DocumentError, Problem};
use crate::text;

/// An expectations file.
#[derive(Clone, Debug)]
pub struct ExpectationsFile {
    /// The expectations in the file.
    pub expectations: Expectations,
    /// The folder of the file; paths in the file are relative to it.
    pub folder: PathBuf,
}

impl ExpectationsFile {
    /// Expectations that were made in code, whose relative paths are relative to `folder`.
    ///
    /// # Errors
    /// If they contradict themselves, or a file that they name cannot be read.
    pub fn new(mut expectations: Expectations, folder: PathBuf) -> Result<Self, CheckError> {
        let mistake = contradictions::first(&expectations).map_or(Ok(()), Err);
        mistake.and_then(|()| expectations.resolve(&folder)).map_err(|problem| {
            CheckError::Expectations { place: "expectations".to_owned(), problem }
        })?;
        Ok(Self { expectations, folder })
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If the file cannot be read, is malformed, or has unknown keys.
    pub fn read(path: &Path) -> Result<Self, CheckError> {
        let text = document::read(path, document::MAX_SIZE).map_err(ArchiveError::read(path))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let parsed = match Format::of(path, &text) {
            Format::Goss => goss::parse(path, &text),
            Format::StructureTest => structure_test::parse(path, &text, &folder),
            Format::Own => Expectations::parse(path, &text),
        };
        // The format of a document with a syntax error is not known.
        let mut expectations =
            parsed.map_err(|error| syntax_error(path, &text).unwrap_or(error))?;
        expectations
            .resolve(&folder)
            .map_err(|problem| CheckError::Expectations { place: text::path(path), problem })?;
        Ok(Self { expectations, folder })
    }

    /// Returns the file with the variables in paths and commands replaced by those of `env`, if its
    /// format has variables.
    pub(in crate::check) fn expanded(&self, env: &[String]) -> Self {
        let folder = self.folder.clone();
        Self { expectations: structure_test::expand(&self.expectations, env), folder }
    }
}

/// The format of a file with expectations.
pub(super) enum Format {
    Goss,
    StructureTest,
    Own,
}

impl Format {
    /// Returns the format of `text`, the content of the file at `path`.
    pub(super) fn of(path: &Path, text: &str) -> Self {
        if goss::is_gossfile(path, text) {
            Self::Goss
        } else if structure_test::is_structure_test(path, text) {
            Self::StructureTest
        } else {
            Self::Own
        }
    }
}

/// Returns the first syntax error of a document in YAML or JSON, if there is one. Templates are
/// neither.
fn syntax_error(path: &Path, text: &str) -> Option<CheckError> {
    let is_template = text.contains("{{");
    if is_template || !document::is_yaml(path) && !document::is_json(path, text) {
        return None;
    }
    let DocumentError { place, problem } = document::parse::<Value>(path, text).err()?;
    Some(CheckError::Expectations { place, problem: problem.text })
}

impl Expectations {
    /// Parses `text`; errors name `path` as its file.
    ///
    /// # Errors
    /// If the text is malformed or has unknown keys.
    pub fn parse(path: &Path, text: &str) -> Result<Self, CheckError> {
        let expectations: Self =
            document::parse(path, text).map_err(|DocumentError { place, problem }| {
                CheckError::Expectations { place, problem: with_table_of_key(problem) }
            })?;
        match contradictions::first(&expectations) {
            None => Ok(expectations),
            Some(problem) => Err(CheckError::Expectations { place: text::path(path), problem }),
        }
    }

    /// Returns the JSON schema of an expectations file.
    pub fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}

/// Replaces the hint of a `problem` about a key of `[env]` that is in another table.
fn with_table_of_key(problem: Problem) -> String {
    match problem.unknown_key() {
        Some(key @ ("has" | "exactly")) => {
            format!("unknown key \"{key}\"; it is a key of [env]: write it below that header")
        }
        _ => problem.text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Expectations::parse(Path::new("e.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_renamed_key_is_an_error_that_names_the_new_key() {
        for (text, line, old, new) in [
            ("[[run]]\nname='x'\nwithin=5\n", 3, "within", "timeout"),
            ("[[service]]\nname='x'\nup={ port=80 }\n", 3, "up", "ready"),
            ("[[service]]\nname='x'\n[service.ready]\nwithin=5\n", 4, "within", "timeout"),
            ("[[service]]\nname='x'\nready={}\n[service.stop]\nwithin=5\n", 5, "within", "timeout"),
            ("[[run]]\nname='x'\n[run.stdout]\nlacks='y'\n", 4, "lacks", "not_contains"),
        ] {
            let expected = format!("e.toml:{line}: unknown key {old:?}; it is now called {new:?}");
            assert_eq!(error(text), expected, "{text}");
        }
    }

    #[test]
    fn a_rule_that_every_text_meets_and_an_unknown_rule_are_mistakes() {
        for (text, problem) in [
            ("[[service]]\nname='x'\nready={}\nlog=''\n", "every text contains \"\""),
            ("[[service]]\nname='x'\nready={ log='' }\n", "every text contains \"\""),
            ("[[run]]\nname='x'\nstdout={ contains=['a', ''] }\n", "every text contains \"\""),
            ("[[run]]\nname='x'\nstdout={ not_contains='' }\n", "every text contains \"\""),
            ("[image]\ndeny=['root-usr']\n", "did you mean \"root-user\""),
        ] {
            let error = error(text);
            assert!(error.contains(problem), "{text}: {error}");
        }
        let text = "[[run]]\nname='x'\nstdout=''\nstderr={ equals='' }\n";
        assert!(Expectations::parse(Path::new("e.toml"), text).is_ok());
    }

    #[test]
    fn an_old_name_is_an_unknown_key_where_the_new_name_is_none() {
        let error = error("[image]\nwithin=5\n");
        assert!(
            error.starts_with("e.toml:2: unknown key \"within\"; valid keys: reference"),
            "{error}"
        );
    }

    #[test]
    fn a_malformed_value_is_an_error_with_its_line() {
        for (text, line, problem) in [
            (
                "[[file]]\npath='/x'\nmode='rwx'\n",
                3,
                "invalid mode \"rwx\"; expected permission bits in octal, such as \"0755\"",
            ),
            (
                "[[file]]\npath='/x'\nmode='17777'\n",
                3,
                "invalid mode \"17777\"; expected permission bits in octal, such as \"0755\"",
            ),
            (
                "[[file]]\npath='/x'\nsha256='sha256:12'\n",
                3,
                "invalid SHA-256 digest \"sha256:12\"; expected 64 hexadecimal digits",
            ),
            ("[[run]]\nname='x'\nenv={}\n", 3, "unknown key \"env\"; it is a key of \"container\""),
            (
                "[[service]]\nname='x'\nready={}\nhosts={}\n",
                4,
                "unknown key \"hosts\"; it is a key of \"container\"",
            ),
            (
                "[env]\nMODE='x'\n",
                2,
                "unknown key \"MODE\"; variables are keys of \"has\"; \
                 valid keys: has, exactly, absent, matches, unique",
            ),
            (
                "[run]\nname='x'\n",
                1,
                "found a table, expected a list; in TOML, a list of tables is written \
                 [[KEY]] instead of [KEY], or [{ ... }]",
            ),
            (
                "[[service]]\nname='x'\nready={}\nstop=true\n",
                4,
                "stop: found true, expected a table",
            ),
            (
                "[[file]]\npath='/x'\nmode=0755\n",
                3,
                "a number cannot begin with 0; a mode is written in quotes, such as \"0755\"",
            ),
            (
                "[[run]]\nname='x'\ncontainer={ memory=64 }\n",
                3,
                "unknown key \"memory\"; did you mean \"memory_mib\"?",
            ),
            (
                "[[run]]\nname='x'\ncontainer={ memory_mib='64m' }\n",
                3,
                "memory_mib: found the string \"64m\", expected a whole number",
            ),
            (
                "[[run]]\nname='x'\ncontainer={ shell='x', command=['y'] }\n",
                3,
                "\"shell\" and \"command\" exclude each other: a shell replaces both",
            ),
            (
                "[[run]]\nname='x'\ncontainer={ shell='x', entrypoint=['y'] }\n",
                3,
                "\"shell\" and \"entrypoint\" exclude each other: a shell replaces both",
            ),
            (
                "[[run]]\nname='x'\ncontainer={ restricted=true, privileged=true }\n",
                3,
                "\"restricted\" and \"privileged\" exclude each other",
            ),
            (
                "[[run]]\nname='x'\n[run.container]\nrestricted=true\ncapabilities={add=['CHOWN']}",
                3,
                "\"restricted\" forbids the capability \"CHOWN\"; \
                 only NET_BIND_SERVICE may be added",
            ),
            (
                "[[run]]\nname='x'\n[run.container]\nrestricted=true\nsysctls={'kernel.x'='1'}",
                3,
                "\"restricted\" forbids the sysctl \"kernel.x\"",
            ),
            (
                "[[run]]\nname='x'\ncontainer={ working_dir='srv' }\n",
                3,
                "invalid working_dir \"srv\"; expected an absolute path",
            ),
            (
                "[[run]]\nname='x'\ncontainer.mounts=[{ path='srv', source='.' }]\n",
                3,
                "invalid path \"srv\"; expected an absolute path",
            ),
        ] {
            assert_eq!(error(text), format!("e.toml:{line}: {problem}"), "{text}");
        }
    }

    #[test]
    fn a_mode_may_have_a_prefix_and_a_digest_upper_case_digits() {
        for (key, value) in [("mode", "0o4755"), ("mode", "755"), ("sha256", &"Ab".repeat(32))] {
            let text = format!("[[file]]\npath='/x'\n{key}='{value}'\n");
            assert!(Expectations::parse(Path::new("e.toml"), &text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_text_of_another_type_is_an_error_with_its_line() {
        let error = error("[[run]]\nname='x'\nstdout=5\n");
        assert!(error.starts_with("e.toml:3: stdout: found 5"), "{error}");
        assert!(error.contains("expected a string, or a table of equals, contains"), "{error}");
    }

    #[test]
    fn a_syntax_error_is_reported_with_its_line_whatever_the_file_is_for() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("broken.yaml");
        for yaml in [
            "file:\n  /x:\n    exists: true\n   mode: '0644'\n",
            "port:\n  tcp:80:\n    ip: &a\n    listening: [\n",
            "schemaVersion: 2.0.0\ncommandTests:\n  - name: x\n   command: y\n",
        ] {
            std::fs::write(&path, yaml).unwrap();
            let error = ExpectationsFile::read(&path).unwrap_err().to_string();
            assert!(error.contains("broken.yaml:4: "), "{error}");
            assert!(!error.contains("unknown key"), "{error}");
        }
        // Templates are named instead.
        std::fs::write(&path, "file: { {{range}} }\n").unwrap();
        let error = ExpectationsFile::read(&path).unwrap_err().to_string();
        assert!(error.contains("templates in goss files are not supported"), "{error}");
    }
}
