//! Expectations of services.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::container::ContainerSpec;
use super::container_rules::container;
use super::exec::ExecExpectations;
use super::exit_code::{CodeOrSignal, exit_code, signal};
use super::file::FileExpectations;
use super::goss::{GossExpectations, GossTest};
use super::run::Start;
use crate::conditions::{HttpExpectations, ReadyConditions, Text, Timeout, log};
use crate::document::list;

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
    #[serde(default, deserialize_with = "list::tables")]
    pub exec: Vec<ExecExpectations>,
    /// Files in the running container, after all requests and commands.
    #[serde(default)]
    pub file: Vec<FileExpectations>,
    /// A goss file, relative to this file, whose tests are made in the container of the service,
    /// after its own requests, commands and files. Each is a test case.
    pub goss: Option<PathBuf>,
    /// The tests of a goss file: that of `goss`, or the one that is read as expectations.
    #[serde(skip)]
    pub(in crate::check) tests: Vec<GossTest>,
    /// The output of the service after all requests and commands: a string that its output
    /// contains, or rules for the output.
    #[serde(default, deserialize_with = "log")]
    #[schemars(with = "Option<Text>")]
    pub log: Option<Text>,
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
            goss: None,
            tests: Vec::new(),
            log: None,
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

    /// Whether the file at `path` is in a file system that is there only while the container runs.
    pub(in crate::check) fn ends_with_container(&self, path: &str) -> bool {
        let is_in = |folder: &str| {
            let rest = path.trim_start_matches('/').strip_prefix(folder.trim_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let tmpfs = self.container.tmpfs.iter().map(String::as_str);
        tmpfs.chain(["/dev", "/proc", "/sys"]).any(is_in)
    }
}

/// The tests of a goss file.
impl ServiceExpectations {
    /// Whether the goss file is not named by the service, but read as expectations.
    pub(in crate::check) fn is_of_gossfile(&self) -> bool {
        self.goss.is_none() && !self.tests.is_empty()
    }

    /// Whether the service has a test case of its own. A goss file has none if nothing in it needs
    /// a container that keeps running.
    pub(in crate::check) fn has_own_case(&self) -> bool {
        !self.is_of_gossfile() || self.tests.iter().any(GossTest::needs_running)
    }

    /// Returns the name of the test case of `test`.
    pub(in crate::check) fn test_name(&self, test: &GossTest) -> String {
        match self.is_of_gossfile() {
            true => test.name.clone(),
            false => format!("service {}: {}", self.name, test.name),
        }
    }

    /// The requests of the tests.
    pub(in crate::check) fn goss_requests(&self) -> impl Iterator<Item = &HttpExpectations> {
        self.tests.iter().filter_map(|test| match &test.expected {
            Some(GossExpectations::Http(request)) => Some(request.as_ref()),
            _ => None,
        })
    }
}
