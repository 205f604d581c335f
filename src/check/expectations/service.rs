//! Expectations of services.

use schemars::JsonSchema;
use serde::Deserialize;

use super::container::ContainerSpec;
use super::container_rules::container;
use super::exec::ExecExpectations;
use super::exit_code::{CodeOrSignal, exit_code, signal};
use super::file::FileExpectations;
use super::goss::SocketExpectations;
use super::run::Start;
use crate::conditions::{HttpExpectations, ReadyConditions, Text, Timeout, log};

/// A service.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceExpectations {
    /// The name of the test case.
    pub name: String,
    /// How the container is started.
    #[serde(default, deserialize_with = "container")]
    pub container: ContainerSpec,
    /// Whether the start must succeed or fail. If it must fail, the service ends before it is
    /// ready.
    #[serde(default)]
    pub start: Start,
    /// When the service is ready.
    pub ready: ReadyConditions,
    /// HTTP requests from outside of the container, with the expected answers.
    #[serde(default)]
    pub http: Vec<HttpExpectations>,
    /// Commands that are run in the container of the service.
    #[serde(default)]
    pub exec: Vec<ExecExpectations>,
    /// Files in the running container, after all requests and commands.
    #[serde(default)]
    pub file: Vec<FileExpectations>,
    /// The output of the service after all requests and commands: a string that its output
    /// contains, or rules for the output.
    #[serde(default, deserialize_with = "log")]
    #[schemars(with = "Option<Text>")]
    pub log: Option<Text>,
    /// Ports and processes of a goss file.
    #[serde(skip)]
    pub(in crate::check) sockets: Vec<SocketExpectations>,
    /// How the service stops.
    pub stop: Option<StopExpectations>,
    /// The exit code of a service that ends by itself after the requests. Without it, the service
    /// must not end before it is stopped.
    #[serde(default, deserialize_with = "exit_code")]
    #[schemars(with = "Option<CodeOrSignal>")]
    pub exit_code: Option<i64>,
}

impl ServiceExpectations {
    /// A service that is started as the image has it, and of which nothing is expected but `ready`.
    pub fn new(name: impl Into<String>, ready: ReadyConditions) -> Self {
        Self {
            name: name.into(),
            container: ContainerSpec::default(),
            start: Start::default(),
            ready,
            http: Vec::new(),
            exec: Vec::new(),
            file: Vec::new(),
            log: None,
            sockets: Vec::new(),
            stop: None,
            exit_code: None,
        }
    }
}

/// How a service stops after its stop signal.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StopExpectations {
    /// The signal that is sent; by default the image's stop signal.
    #[serde(deserialize_with = "signal")]
    #[schemars(with = "Option<String>")]
    pub signal: Option<String>,
    /// The time until the service is killed; 10 seconds by default. Being killed is a failure.
    pub timeout: Option<Timeout>,
    /// The exit code.
    #[serde(default, deserialize_with = "exit_code")]
    #[schemars(with = "Option<CodeOrSignal>")]
    pub exit_code: Option<i64>,
    /// The output of the service after its end: a string that its output contains, or rules for the
    /// output.
    #[serde(default, deserialize_with = "log")]
    #[schemars(with = "Option<Text>")]
    pub log: Option<Text>,
}

impl ServiceExpectations {
    /// The request of `ready`, and all others.
    pub(super) fn requests(&self) -> impl Iterator<Item = &HttpExpectations> {
        self.ready.http.iter().chain(&self.http)
    }

    /// The same, to change them.
    pub(super) fn requests_mut(&mut self) -> impl Iterator<Item = &mut HttpExpectations> {
        self.ready.http.iter_mut().chain(&mut self.http)
    }

    /// Returns the path of a file that Docker's API reports as absent even if it exists, and the
    /// folder at which a file system of the kernel is mounted over it.
    pub(super) fn unreadable_file(&self) -> Option<(&str, &str)> {
        let tmpfs = self.container.tmpfs.iter().map(String::as_str);
        let folders: Vec<&str> = tmpfs.chain(["/dev", "/proc", "/sys"]).collect();
        let is_in = |path: &str, folder: &str| {
            let rest = path.trim_start_matches('/').strip_prefix(folder.trim_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.file.iter().find_map(|file| {
            let folder = folders.iter().find(|folder| is_in(&file.path, folder))?;
            Some((file.path.as_str(), *folder))
        })
    }
}
