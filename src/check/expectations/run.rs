//! Expectations of commands that end.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::container::ContainerSpec;
use super::container_rules::container;
use super::exit_code::{CodeOrSignal, exit_code};
use crate::conditions::{Text, Timeout};
use crate::text::value;

/// A command that is run until it ends.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunExpectations {
    /// The name of the test case.
    pub name: String,
    /// Commands that are run before, one after the other, each in a container of its own that
    /// starts with the files that the one before has left. A command that fails ends the test case.
    #[serde(default)]
    pub setup: Vec<Vec<String>>,
    /// Whether commands of `setup` may fail, as in a container-structure-test file.
    #[serde(skip)]
    pub(in crate::check) setup_may_fail: bool,
    /// `envVars` of a command test of a container-structure-test file.
    #[serde(skip)]
    pub(in crate::check) variables: BTreeMap<String, String>,
    /// How the container is started.
    #[serde(default, deserialize_with = "container")]
    pub container: ContainerSpec,
    /// Whether the start must succeed, or the engine must refuse it.
    #[serde(default)]
    pub start: Start,
    /// The engine's message if it refuses to start the container.
    pub start_error: Option<Text>,
    /// The exit code, or the name of a signal; 0 by default. A command that a signal ends has 128
    /// plus the signal's number.
    #[serde(default, deserialize_with = "exit_code")]
    #[schemars(with = "Option<CodeOrSignal>")]
    pub exit_code: Option<i64>,
    /// The text on standard output.
    pub stdout: Option<Text>,
    /// The text on standard error.
    pub stderr: Option<Text>,
    /// The time limit for the command; 60 seconds by default.
    pub timeout: Option<Timeout>,
}

impl RunExpectations {
    /// The image's own command in a container as the image has it, which must exit with code 0.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            setup: Vec::new(),
            setup_may_fail: false,
            variables: BTreeMap::new(),
            container: ContainerSpec::default(),
            start: Start::default(),
            start_error: None,
            exit_code: None,
            stdout: None,
            stderr: None,
            timeout: None,
        }
    }

    /// Describes a key that is never checked, if there is one.
    pub(super) fn mistake(&self) -> Option<String> {
        let fails = self.start == Start::Fails;
        let keys = [
            ("exit_code", fails && self.exit_code.is_some()),
            ("stdout", fails && self.stdout.is_some()),
            ("stderr", fails && self.stderr.is_some()),
            ("start_error", !fails && self.start_error.is_some()),
        ];
        let (key, _) = keys.into_iter().find(|(_, is_useless)| *is_useless)?;
        let name = value::quote(&self.name);
        Some(match fails {
            true => format!("the start of run {name} must fail, so its {key} is never checked"),
            false => format!("{key} of run {name} needs start = \"fails\""),
        })
    }
}

/// Whether a start must succeed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// It must succeed.
    #[default]
    Succeeds,
    /// It must fail.
    Fails,
}

/// A command that changes files for all commands and services of the file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupCommand {
    /// How the container is started.
    #[serde(default, deserialize_with = "container")]
    pub container: ContainerSpec,
    /// The time limit for the command; 60 seconds by default.
    pub timeout: Option<Timeout>,
}
