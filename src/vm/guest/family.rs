//! Families of engines, as data: the packages of their guests, their units and sockets, and how
//! they are started.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::text::suggest;

/// The guests of one kind of engine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// The name: that of its file.
    #[serde(skip)]
    pub name: String,
    /// The Debian packages of the engine, without dependencies. The engine's own is the first.
    pub(in crate::vm) packages: Vec<String>,
    /// The kernel modules that the engine needs, without dependencies.
    pub(in crate::vm) modules: Vec<String>,
    /// The systemd units that start at boot, in the order in which they usually become active.
    pub units: Vec<String>,
    /// How the engine is started.
    pub(crate) start: Start,
    /// The API of the engine.
    #[serde(default)]
    pub api: Api,
    /// The engine's socket in the guest, on which it answers `/_ping`.
    pub socket: Option<String>,
    /// The socket of the service that the engine depends on.
    pub needs: Option<String>,
    /// The folder for images, on the scratch disk.
    pub store: String,
    /// Whether the engine adds a registry to image names that have none.
    #[serde(default)]
    pub qualifies_names: bool,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// The number of CPUs.
    pub cpus: u32,
    /// Files that are added to the root of every VM, by path.
    #[serde(default)]
    pub(in crate::vm) files: BTreeMap<String, String>,
}

/// How an engine is started, and the files that make it start in another way, by path.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Start {
    /// The unit of the engine.
    pub service: String,
    /// The unit that listens for the engine, if there is one.
    pub socket_unit: Option<String>,
    /// The message in the journal with which the engine begins to serve its API, if there is one.
    pub serving_message: Option<String>,
    /// Files with which the engine creates its own socket on the path on which the socket unit
    /// listens.
    #[serde(default)]
    pub orphaned_socket: BTreeMap<String, String>,
    /// Files with which the engine creates its own socket and does not need the socket unit.
    #[serde(default)]
    pub no_socket_unit: BTreeMap<String, String>,
}

/// The API of an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// Docker's API, over HTTP.
    #[default]
    Docker,
    /// The container runtime interface, over gRPC.
    Cri,
}

const FAMILIES: &[(&str, &str)] = &[
    ("docker", include_str!("../../../vm/families/docker.toml")),
    ("podman", include_str!("../../../vm/families/podman.toml")),
    ("containerd", include_str!("../../../vm/families/containerd.toml")),
];

impl Family {
    /// Returns the family called `name`.
    ///
    /// # Errors
    /// If there is none; the error suggests the most similar name.
    pub fn named(name: &str) -> Result<Self, String> {
        let text = FAMILIES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
        let text = text.ok_or_else(|| {
            let nearest = suggest::hint(&suggest::nearest(name, Self::names()));
            let names = Self::names().collect::<Vec<_>>().join(", ");
            format!("unknown engine family \"{name}\"{nearest}; known: {names}")
        })?;
        let family: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        Ok(Self { name: name.to_owned(), ..family })
    }

    /// Returns the names of all families.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FAMILIES.iter().map(|(name, _)| *name)
    }

    /// Returns the socket that a client in the guest connects to.
    pub fn client_socket(&self) -> &str {
        self.socket.as_deref().or(self.needs.as_deref()).unwrap_or_default()
    }

    /// Whether `tag`, as the engine lists it, is the name of an image called `reference`.
    pub fn tag_matches(&self, tag: &str, reference: &str) -> bool {
        let qualified =
            || tag.strip_suffix(reference).is_some_and(|registry| registry.ends_with('/'));
        match self.qualifies_names {
            true => tag == reference || qualified(),
            false => tag == reference || tag == familiar(reference),
        }
    }

    /// Returns the services among the units.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.units.iter().map(String::as_str).filter(|unit| unit.ends_with(".service"))
    }
}

/// Docker's short form of a name: without its own registry (`reference.FamiliarString`).
fn familiar(reference: &str) -> &str {
    let domains = ["docker.io/", "index.docker.io/"];
    let name = domains.iter().find_map(|domain| reference.strip_prefix(domain));
    let name = name.unwrap_or(reference);
    name.strip_prefix("library/").filter(|rest| !rest.contains('/')).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use crate::vm::guest::Definition;

    #[test]
    fn an_engine_may_list_an_image_under_a_shorter_or_a_longer_name() {
        // As docker-20.10 and podman-4.3 list images that skopeo has named.
        let matches = |engine, tag, reference| {
            Definition::named(engine).unwrap().family.tag_matches(tag, reference)
        };
        for reference in ["app:1", "docker.io/library/app:1", "library/app:1"] {
            assert!(matches("docker-20.10", "app:1", reference), "{reference}");
        }
        assert!(matches("docker-20.10", "me/app:1", "docker.io/me/app:1"));
        assert!(!matches("docker-20.10", "app:1", "docker.io/me/app:1"));
        assert!(!matches("docker-20.10", "app:1", "registry.example/library/app:1"));
        assert!(matches("podman-4.3", "localhost/app:1", "app:1"));
        assert!(matches("podman-4.3", "docker.io/library/app:1", "docker.io/library/app:1"));
        assert!(!matches("podman-4.3", "localhost/myapp:1", "app:1"));
    }
}
