//! Scenario files: how an engine is started, what goes wrong meanwhile, and what a client does.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Fault, ReplayError, WaitStrategy};
use crate::archive::ArchiveError;
use crate::document::{self, DocumentError};
use crate::text::suggest;
use crate::vm::Family;

/// A scenario file, TOML or JSON.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The name: that of the built-in scenario, or the file's name without its extension.
    #[serde(skip)]
    pub name: String,
    /// A description in one line.
    pub title: String,
    /// A link to an explanation.
    pub link: Option<String>,
    /// How the engine is started.
    #[serde(default)]
    pub(super) start: StartMode,
    /// The seconds by which the engine's unit delays the start.
    #[serde(default)]
    pub(super) engine_delay: u64,
    /// The same for `containerd.service`, which Docker needs.
    #[serde(default)]
    pub(super) containerd_delay: u64,
    /// The seconds until `network-online.target` is reached, for which the engine's unit waits.
    #[serde(default)]
    pub(super) network_delay: u64,
    /// The seconds until the engine is started, with [`StartMode::Manual`].
    #[serde(default)]
    pub(super) manual_delay: u64,
    /// The client.
    pub(super) client: Client,
    /// The settings for the engines of a family, by the family's name. The scenario cannot be
    /// replayed on engines of other families.
    pub(super) on: BTreeMap<String, FamilySettings>,
}

/// The settings of a scenario for the engines of a family.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FamilySettings {
    /// The wait strategies whose clients are known to fail or hang.
    #[serde(default)]
    pub(super) breaks: Vec<WaitStrategy>,
    /// Files to add to the guest: path and content.
    #[serde(default)]
    pub(super) files: BTreeMap<String, String>,
    /// Paths to remove from the guest.
    #[serde(default)]
    pub(super) removed: Vec<String>,
    /// The faults.
    #[serde(default, rename = "fault")]
    pub(super) faults: Vec<TimedFault>,
}

/// How the engine is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StartMode {
    /// At boot, with sockets on which systemd listens and which it passes to the engine.
    #[default]
    Boot,
    /// By the first client that connects to such a socket.
    SocketActivation,
    /// At boot. The engine creates its own socket, on the path on which systemd already listens.
    OrphanedSocket,
    /// At boot. The engine creates its own sockets, and systemd does not listen.
    NoSocketUnit,
    /// Later, by `systemctl start`. systemd does not listen.
    Manual,
}

/// The client of a scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    /// The client's action.
    pub(super) action: ClientAction,
    /// The seconds after which the client counts as hung.
    pub(super) timeout: u64,
    /// The wait strategy with which the problem was first seen. For readers of the file only.
    #[cfg_attr(not(test), expect(dead_code, reason = "documentation, which is checked"))]
    pub(super) seen_with: Option<WaitStrategy>,
}

/// The action of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ClientAction {
    /// Asks for the version.
    Version,
    /// Loads an image.
    Load,
    /// Loads an image and runs a container of it.
    Run,
}

/// A fault, and when it is injected.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimedFault {
    /// The condition that triggers the fault: `unit:NAME` (the unit is active) or `path:PATH` (the
    /// file exists). Without it, the fault is injected at once.
    pub(super) when: Option<String>,
    /// The seconds between the condition and the fault.
    #[serde(default)]
    pub(super) after: f64,
    /// The fault.
    #[serde(rename = "action")]
    pub(super) fault: Fault,
}

/// The built-in scenarios: name and file.
const SCENARIOS: &[(&str, &str)] = &[
    ("original", include_str!("../../vm/scenarios/original.toml")),
    ("socket-activated", include_str!("../../vm/scenarios/socket-activated.toml")),
    ("no-socket", include_str!("../../vm/scenarios/no-socket.toml")),
    ("no-socket-handed-over", include_str!("../../vm/scenarios/no-socket-handed-over.toml")),
    ("slow-start", include_str!("../../vm/scenarios/slow-start.toml")),
    ("network-online", include_str!("../../vm/scenarios/network-online.toml")),
    ("containerd-late", include_str!("../../vm/scenarios/containerd-late.toml")),
    ("containerd-gone", include_str!("../../vm/scenarios/containerd-gone.toml")),
    ("frozen", include_str!("../../vm/scenarios/frozen.toml")),
    ("by-hand", include_str!("../../vm/scenarios/by-hand.toml")),
    ("slow-machine", include_str!("../../vm/scenarios/slow-machine.toml")),
];

impl Scenario {
    /// The names of the built-in scenarios.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SCENARIOS.iter().map(|(name, _)| *name)
    }

    /// Returns the built-in scenario `name`, or reads the file `name`.
    ///
    /// # Errors
    /// If there is neither, or the file is invalid.
    pub fn named(name: &str) -> Result<Self, ReplayError> {
        let path = Path::new(name);
        if let Some((_, text)) = SCENARIOS.iter().find(|(known, _)| *known == name) {
            return Self::parse(name, path, text);
        }
        if !path.exists() {
            let known = Self::names().collect::<Vec<_>>().join(", ");
            let hint = suggest::hint(&suggest::nearest(name, Self::names()));
            let problem = format!("no such scenario or file{hint}; built-in scenarios: {known}");
            return Err(ReplayError::Scenario { place: name.to_owned(), problem });
        }
        let text = document::read(path, document::MAX_SIZE).map_err(ArchiveError::read(path))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&stem, path, &text)
    }

    fn parse(name: &str, path: &Path, text: &str) -> Result<Self, ReplayError> {
        let mut scenario: Self =
            document::parse(path, text).map_err(|DocumentError { place, problem }| {
                ReplayError::Scenario { place, problem: problem.text }
            })?;
        scenario.name = name.to_owned();
        let invalid = |problem| ReplayError::Scenario { place: name.to_owned(), problem };
        scenario.check().map_err(invalid)?;
        Ok(scenario)
    }

    /// Checks what the types of the fields cannot express.
    fn check(&self) -> Result<(), String> {
        for name in self.on.keys() {
            let family = Family::named(name)?;
            let needs_unit =
                matches!(self.start, StartMode::SocketActivation | StartMode::OrphanedSocket);
            if needs_unit && family.start.socket_unit.is_none() {
                return Err(format!(
                    "systemd does not listen for {name}; start it by \"boot\", \"no-socket-unit\" \
                     or \"manual\""
                ));
            }
        }
        let triggers = self.on.values().flat_map(|on| &on.faults).filter_map(|at| at.when.as_ref());
        for when in triggers {
            if parse_trigger(when).is_none() {
                return Err(format!("invalid \"when\": \"{when}\"; write unit:NAME or path:/PATH"));
            }
        }
        Ok(())
    }

    /// Whether the scenario can be replayed on engines of `family`.
    pub fn supports(&self, family: &str) -> bool {
        self.on.contains_key(family)
    }

    /// The wait strategies whose clients are known to fail or hang on engines of `family`.
    pub(super) fn breaks(&self, family: &str) -> &[WaitStrategy] {
        self.on.get(family).map(|settings| &settings.breaks[..]).unwrap_or_default()
    }

    /// The families on whose engines the scenario can be replayed.
    pub fn families(&self) -> impl Iterator<Item = &'static str> {
        Family::names().filter(|family| self.supports(family))
    }
}

/// Splits the condition of a fault into its kind and its target, a unit or path. They become part
/// of a command line, so only some characters are allowed.
pub(super) fn parse_trigger(when: &str) -> Option<(&str, &str)> {
    let (kind, target) = when.split_once(':')?;
    let plain = target.chars().all(|c| c.is_ascii_alphanumeric() || "-._@/".contains(c));
    (plain && !target.is_empty() && ["unit", "path"].contains(&kind)).then_some((kind, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scenario_is_valid_and_has_a_section_in_the_documentation() {
        let pages = include_str!("../../docs/timing.md");
        for name in Scenario::names() {
            let scenario = Scenario::named(name).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(!scenario.on.is_empty(), "{name}");
            let broken = |on: &FamilySettings| on.breaks.contains(&WaitStrategy::Ready);
            assert!(!scenario.on.values().any(broken), "{name}");
            let seen_with = scenario.client.seen_with.as_ref();
            let seen = |on: &FamilySettings| on.breaks.iter().any(|it| Some(it) == seen_with);
            assert!(scenario.on.values().any(seen), "{name}: seen_with is not in breaks");
            let link = scenario.link.unwrap_or_default();
            let anchor =
                link.strip_prefix("docs/timing.md#").unwrap_or_else(|| panic!("{name}: {link}"));
            let heading =
                |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            assert!(
                pages.lines().any(|line| line.starts_with("## ") && heading(line) == anchor),
                "{anchor}"
            );
        }
    }

    #[test]
    fn an_old_key_is_an_error_that_names_the_new_one() {
        for (old, new) in [("action = \"run\", within", "timeout"), ("does", "action")] {
            let text = format!("title = \"x\"\nclient = {{ {old} = 1 }}\non = {{}}\n");
            let error = Scenario::parse("x", Path::new("x.toml"), &text).unwrap_err().to_string();
            assert!(error.contains(&format!("it is now called {new:?}")), "{error}");
        }
    }

    #[test]
    fn an_unknown_scenario_is_an_error_with_the_nearest_name_and_an_unknown_key_one_with_its_line()
    {
        let error = Scenario::named("orignal").unwrap_err().to_string();
        assert!(error.contains("did you mean \"original\"?"), "{error}");
        let text = "title = \"x\"\nclient = { action = \"run\", timeout = 1 }\nengine_dela = 1\n";
        let error = Scenario::parse("x", Path::new("x.toml"), text).unwrap_err().to_string();
        assert_eq!(error, "x.toml:3: unknown key \"engine_dela\"; did you mean \"engine_delay\"?");
    }

    #[test]
    fn an_unknown_family_and_socket_activation_of_a_family_without_it_are_errors() {
        let head = "title = \"x\"\nstart = \"socket-activation\"\n\
                    client = { action = \"run\", timeout = 1 }\n";
        for (family, problem) in [
            ("podmn", "did you mean \"podman\"?"),
            ("containerd", "systemd does not listen for containerd"),
        ] {
            let text = format!("{head}[on.{family}]\n");
            let error = Scenario::parse("x", Path::new("x.toml"), &text).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
