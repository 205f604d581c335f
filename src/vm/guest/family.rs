//! Families of engines, as data: what a guest of one has in it, where its engine answers, and what that depends on.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::suggest;

/// The engines that are put into guests, started and asked in the same way.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// What it is called: the name of its file.
    #[serde(skip)]
    pub name: String,
    /// The Debian packages of its engine, without what they depend on; the engine's own first.
    pub(in crate::vm) packages: Vec<String>,
    /// The kernel modules that its engine needs, without what they depend on.
    pub(in crate::vm) modules: Vec<String>,
    /// The units of systemd's that are started with the guest, in the order in which they usually become active.
    pub units: Vec<String>,
    /// How its engine is started.
    pub start: Start,
    /// What it speaks.
    #[serde(default)]
    pub api: Api,
    /// The engine's socket in the guest, where it answers `/_ping`.
    pub socket: Option<String>,
    /// The socket of what the engine depends on.
    pub needs: Option<String>,
    /// Where the engine keeps its images, on the scratch disk.
    pub store: String,
    /// Whether the engine puts a registry before names that have none.
    #[serde(default)]
    pub qualifies_names: bool,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// CPUs.
    pub cpus: u32,
    /// What machines have in their root beside what was assembled, by place.
    #[serde(default)]
    pub(in crate::vm) files: BTreeMap<String, String>,
}

/// How an engine is started, and what is to be changed in its guest for it to be started otherwise, by place.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The unit that is the engine.
    pub service: String,
    /// The unit that listens for it, where one does.
    pub socket_unit: Option<String>,
    /// What it logs when it begins to serve its API, where it does.
    pub serving_message: Option<String>,
    /// It makes a socket of its own in the place in which that unit listens.
    #[serde(default)]
    pub orphaned_socket: BTreeMap<String, String>,
    /// It makes a socket of its own, and wants nothing that listens for it.
    #[serde(default)]
    pub no_socket_unit: BTreeMap<String, String>,
}

/// What an engine speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// Docker's API, over HTTP.
    #[default]
    Docker,
    /// The container runtime interface, over gRPC.
    Cri,
}

/// The families there are.
const FAMILIES: &[(&str, &str)] = &[
    ("docker", include_str!("../../../vm/families/docker.toml")),
    ("podman", include_str!("../../../vm/families/podman.toml")),
    ("containerd", include_str!("../../../vm/families/containerd.toml")),
];

impl Family {
    /// The family called `name`.
    ///
    /// # Errors
    /// When there is none; the error names the nearest.
    pub fn named(name: &str) -> Result<Self, String> {
        let text = FAMILIES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
        let text = text.ok_or_else(|| {
            let nearest = suggest::hint(&suggest::nearest(name, Self::names()));
            let known = Self::names().collect::<Vec<_>>().join(", ");
            format!("there is no family of engines {name:?}{nearest}; there are {known}")
        })?;
        let family: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        Ok(Self { name: name.to_owned(), ..family })
    }

    /// The names of all.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FAMILIES.iter().map(|(name, _)| *name)
    }

    /// The socket at which a client in the guest finds the engine.
    pub fn client_socket(&self) -> &str {
        self.socket.as_deref().or(self.needs.as_deref()).unwrap_or_default()
    }

    /// Whether `tag`, which its engine lists, is the name that an image has as `reference`.
    pub fn tag_matches(&self, tag: &str, reference: &str) -> bool {
        let qualified =
            || tag.strip_suffix(reference).is_some_and(|registry| registry.ends_with('/'));
        tag == reference || (self.qualifies_names && qualified())
    }

    /// Its units that do something rather than wait for somebody.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.units.iter().map(String::as_str).filter(|unit| unit.ends_with(".service"))
    }
}
