//! Scenarios: how an engine is started, what goes wrong meanwhile, and what a client wants of it. Data; they are applied to a
//! guest without assembling it again.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::WaitStrategy;
use super::{Fault, ReplayError};
use crate::document;
use crate::suggest;
use crate::vm::Family;

/// A scenario as it is written, TOML or JSON.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is called; the file's name where it comes from a file.
    #[serde(skip)]
    pub name: String,
    /// What it is about, in a line.
    pub title: String,
    /// Where it is explained, as a link.
    pub explained: Option<String>,
    /// How the engine is started.
    #[serde(default)]
    pub start: Start,
    /// How many seconds go by before the engine starts, for a reason of the engine's unit's.
    #[serde(default)]
    pub before_engine: u64,
    /// Likewise for containerd, which Docker needs.
    #[serde(default)]
    pub before_containerd: u64,
    /// How many seconds it takes until the network is said to be up, which the engine's unit waits for.
    #[serde(default)]
    pub network_online: u64,
    /// How many seconds go by until the engine is started by hand, where that is the start mode.
    #[serde(default)]
    pub by_hand_after: u64,
    /// What the client does.
    pub client: Client,
    /// What it comes to on the engines of a family, by its name. On those of others there is no such scenario.
    pub on: BTreeMap<String, On>,
}

/// What a scenario comes to on the engines of a family.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct On {
    /// The policies whose clients fail or hang in it, as far as is known.
    #[serde(default)]
    pub breaks: Vec<WaitStrategy>,
    /// More files of the guest's, by their place.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Places where there is to be nothing.
    #[serde(default)]
    pub removed: Vec<String>,
    /// What goes wrong.
    #[serde(default, rename = "fault")]
    pub faults: Vec<At>,
}

/// How the engine is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// At boot, with sockets that systemd listens on and hands over.
    #[default]
    Boot,
    /// By the first client that connects to such a socket.
    Socket,
    /// At boot, with a socket of its own beside the one that systemd listens on, in the same place.
    SocketOrphaned,
    /// At boot, with sockets of its own, where systemd listens nowhere.
    Alone,
    /// By hand; systemd listens nowhere.
    Manual,
}

/// What the client does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// What.
    pub does: Does,
    /// How many seconds it has; after that it counts as hung.
    pub within: u64,
    /// The policy that the scenario was met with.
    pub on: Option<WaitStrategy>,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Does {
    /// Asks for the version.
    Version,
    /// Loads an image.
    Load,
    /// Loads an image and runs a container of it.
    Run,
}

/// Something that goes wrong at some moment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct At {
    /// `unit:NAME` (it is active) or `path:PATH` (it exists); at once where left out.
    pub when: Option<String>,
    /// How many seconds after that.
    #[serde(default)]
    pub after: f64,
    /// What.
    pub does: Fault,
}

/// The scenarios there are.
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
    /// The names of all that are built in.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SCENARIOS.iter().map(|(name, _)| *name)
    }

    /// The one that is called `name`, or that the file `name` describes.
    ///
    /// # Errors
    /// When there is none, or it is malformed.
    pub fn named(name: &str) -> Result<Self, ReplayError> {
        let path = Path::new(name);
        if let Some((_, text)) = SCENARIOS.iter().find(|(known, _)| *known == name) {
            return Self::parse(name, path, text);
        }
        if !path.exists() {
            let known = Self::names().collect::<Vec<_>>().join(", ");
            let hint = suggest::hint(&suggest::nearest(name, Self::names()));
            let problem = format!("there is no such scenario or file{hint}; there are {known}");
            return Err(ReplayError::Scenario { place: name.to_owned(), problem });
        }
        let text =
            std::fs::read_to_string(path).map_err(crate::archive::ArchiveError::read(path))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&stem, path, &text)
    }

    fn parse(name: &str, path: &Path, text: &str) -> Result<Self, ReplayError> {
        let wrong = |(line, problem): document::Wrong| {
            let place =
                line.map_or_else(|| name.to_owned(), |line| format!("{}:{line}", path.display()));
            ReplayError::Scenario { place, problem }
        };
        let mut scenario: Self = document::parse(path, text).map_err(wrong)?;
        for name in scenario.on.keys() {
            let family = Family::named(name).map_err(|problem| wrong((None, problem)))?;
            let listened_for = matches!(scenario.start, Start::Socket | Start::SocketOrphaned);
            if listened_for && family.start.socket_unit.is_none() {
                let problem = format!(
                    "no unit listens for {name}; start it by \"boot\", \"alone\" or \"manual\""
                );
                return Err(wrong((None, problem)));
            }
        }
        for At { when, .. } in scenario.on.values().flat_map(|on| &on.faults) {
            if when.as_ref().is_some_and(|when| moment(when).is_none()) {
                let problem = format!(
                    "{when:?} is no moment; write unit:NAME or path:/PATH",
                    when = when.as_deref()
                );
                return Err(wrong((None, problem)));
            }
        }
        scenario.name = name.to_owned();
        Ok(scenario)
    }

    /// Whether there is such a scenario on engines of `family`.
    pub fn is_on(&self, family: &str) -> bool {
        self.on.contains_key(family)
    }

    /// The families on whose engines there is such a scenario.
    pub fn families(&self) -> impl Iterator<Item = &'static str> {
        Family::names().filter(|family| self.is_on(family))
    }
}

/// The two words of a moment: what is waited for.
pub(super) fn moment(when: &str) -> Option<(&str, &str)> {
    let (what, of) = when.split_once(':')?;
    let plain = of.chars().all(|c| c.is_ascii_alphanumeric() || "-._@/".contains(c));
    (plain && !of.is_empty() && ["unit", "path"].contains(&what)).then_some((what, of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_can_be_read_and_has_its_page() {
        let pages = include_str!("../../docs/timing.md");
        for name in Scenario::names() {
            let scenario = Scenario::named(name).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(!scenario.on.is_empty(), "{name}");
            assert!(
                !scenario.on.values().any(|on| on.breaks.contains(&WaitStrategy::Ready)),
                "{name}"
            );
            let place = scenario.explained.unwrap_or_default();
            let anchor =
                place.strip_prefix("docs/timing.md#").unwrap_or_else(|| panic!("{name}: {place}"));
            let heading =
                |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            assert!(
                pages.lines().any(|line| line.starts_with("## ") && heading(line) == anchor),
                "{anchor}"
            );
        }
    }

    #[test]
    fn an_unknown_scenario_names_the_nearest_and_a_wrong_one_its_line() {
        let error = Scenario::named("orignal").unwrap_err().to_string();
        assert!(error.contains("did you mean \"original\"?"), "{error}");
        let text = "title = \"x\"\nclient = { does = \"run\", within = 1 }\nbefore_engin = 1\n";
        let error = Scenario::parse("x", Path::new("x.toml"), text).unwrap_err().to_string();
        assert_eq!(
            error,
            "x.toml:3: unknown key \"before_engin\"; did you mean \"before_engine\"?"
        );
    }

    #[test]
    fn a_family_that_is_not_there_or_that_nothing_listens_for_is_the_writers_mistake() {
        let head = "title = \"x\"\nstart = \"socket\"\nclient = { does = \"run\", within = 1 }\n";
        for (family, problem) in [
            ("podmn", "did you mean \"podman\"?"),
            ("containerd", "no unit listens for containerd"),
        ] {
            let text = format!("{head}[on.{family}]\n");
            let error = Scenario::parse("x", Path::new("x.toml"), &text).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
