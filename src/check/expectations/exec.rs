//! Expectations of commands in the container of a service.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::container_rules::malformed_variable;
use super::exit_code::{CodeOrSignal, exit_code};
use crate::conditions::{Text, Timeout};
use crate::text;

/// A command that is run in the container of a service.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecExpectations {
    /// The command.
    #[serde(default)]
    pub command: Vec<String>,
    /// A command line for the image's `/bin/sh`, in place of `command`.
    pub shell: Option<String>,
    /// Variables that are added to those of the service or override them.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The user, by number or name; by default that of the service.
    pub user: Option<String>,
    /// The folder in which the command starts, an absolute path; by default that of the service.
    pub working_dir: Option<String>,
    /// Text on standard input.
    pub stdin: Option<String>,
    /// The exit code; 0 by default.
    #[serde(default, deserialize_with = "exit_code")]
    #[schemars(with = "Option<CodeOrSignal>")]
    pub exit_code: Option<i64>,
    /// The text on standard output.
    pub stdout: Option<Text>,
    /// The text on standard error.
    pub stderr: Option<Text>,
    /// The time limit; 60 seconds by default.
    pub timeout: Option<Timeout>,
    /// Rules for the exit code, of a goss file; they replace `exit_code`.
    #[serde(skip)]
    pub(in crate::check) exit_code_rules: Option<Text>,
    /// Further attempts, of a goss file, if the command is not as expected.
    #[serde(skip)]
    pub(in crate::check) retries: Retries,
}

impl ExecExpectations {
    /// A command that is run as the service's user, and must exit with code 0.
    pub fn new<W: Into<String>>(command: impl IntoIterator<Item = W>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            shell: None,
            env: BTreeMap::new(),
            user: None,
            working_dir: None,
            stdin: None,
            exit_code: None,
            stdout: None,
            stderr: None,
            timeout: None,
            exit_code_rules: None,
            retries: Retries::default(),
        }
    }

    /// The command and its arguments.
    pub(in crate::check) fn words(&self) -> Vec<String> {
        match &self.shell {
            Some(line) => ["/bin/sh", "-c", line].map(str::to_owned).to_vec(),
            None => self.command.clone(),
        }
    }

    /// Describes a mistake, if there is one.
    pub(super) fn mistake(&self) -> Option<String> {
        if self.shell.is_some() && !self.command.is_empty() {
            return Some("\"shell\" and \"command\" of exec exclude each other".to_owned());
        }
        if self.words().is_empty() {
            return Some("exec needs \"command\" or \"shell\"".to_owned());
        }
        if let Some(path) = self.working_dir.iter().find(|path| !path.starts_with('/')) {
            let path = text::quote(path);
            return Some(format!("invalid working_dir {path} of exec; expected an absolute path"));
        }
        malformed_variable(&self.env)
    }
}

/// Further attempts to run a command.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::check) struct Retries {
    /// The number of attempts after the first.
    pub count: u32,
    /// The time before each of them.
    pub delay: Duration,
}
