//! Expectations of an image as a user writes them, in TOML or JSON: plain data. Unknown keys are
//! errors. The doc comments of the fields become descriptions in the JSON schema.

pub(in crate::check) mod companion;
mod container;
mod container_rules;
mod contradictions;
mod document;
mod exec;
mod exit_code;
mod file;
mod goss;
mod image;
mod license;
mod names;
mod repeated_name;
mod resolve;
mod run;
mod service;
mod sources;
mod values;
mod vm;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub use companion::CompanionSpec;
pub use container::{Capabilities, ContainerFile, ContainerMount, ContainerSpec};
pub use document::ExpectationsFile;
pub use exec::ExecExpectations;
pub(in crate::check) use exec::Retries;
pub use file::{ExecutableBy, FileExpectations, FileType};
pub(in crate::check) use goss::{
    GossExpectations, GossProperty, GossSubject, GossTest, PropertyExpectations,
    SocketExpectations, SocketSubject,
};
pub(in crate::check) use image::check_ports;
pub use image::{EnvExpectations, ImageExpectations, SharedLayers};
pub(in crate::check) use license::LicenseExpectations;
pub use names::{Names, SomeNames};
pub use run::{RunExpectations, SetupCommand, Start};
pub use service::{ServiceExpectations, StopExpectations};
pub(crate) use sources::NamedFiles;
pub use values::{Mode, Sha256Digest};
pub use vm::VmSettings;

pub(in crate::check) use crate::conditions::{Found, Matcher};
pub use crate::conditions::{
    HttpExpectations, JsonExpectation, Pattern, Port, Protocol, ReadyConditions, Statuses, Text,
    Timeout, TlsSettings,
};

/// Everything that is expected of an image. What is left out is not checked.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expectations {
    /// The VM in which the image is tested.
    pub vm: VmSettings,
    /// The image's config and layers.
    pub image: ImageExpectations,
    /// The environment, in the config and in a running container.
    pub env: EnvExpectations,
    /// Files in the image.
    #[serde(alias = "files")]
    pub file: Vec<FileExpectations>,
    /// Further containers beside all commands and services, by name: a database, for example.
    pub container: BTreeMap<String, CompanionSpec>,
    /// Commands that change files, once per engine, before all commands and services below.
    pub setup: Vec<SetupCommand>,
    /// Commands that are run in containers until they end.
    #[serde(alias = "runs")]
    pub run: Vec<RunExpectations>,
    /// Services that are started, sent requests and stopped.
    #[serde(alias = "services")]
    pub service: Vec<ServiceExpectations>,
    /// License checks of a container-structure-test file.
    #[serde(skip)]
    pub(super) license: Vec<LicenseExpectations>,
    /// `globalEnvVars` of a container-structure-test file, in which paths and commands contain
    /// variables; `None` for other files.
    #[serde(skip)]
    pub(super) variables: Option<BTreeMap<String, String>>,
}
