//! Scenarios: how an engine is started, what goes wrong meanwhile, and what a client wants of it. Data; they are applied to a
//! guest without assembling it again.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Policy;
use crate::document;
use crate::suggest;
use crate::trial::TrialError;
use crate::trial::fault::Fault;
use crate::vm::Overlay;

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
    /// Where it listens, as options of the engine's; where left out, as its start mode has it.
    pub hosts: Option<String>,
    /// How many seconds go by before the engine starts, for a reason of the engine's unit's.
    #[serde(default)]
    pub before_docker: u64,
    /// Likewise for containerd.
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
    /// The policies whose clients fail or hang in it, as far as is known.
    #[serde(default)]
    pub breaks: Vec<Policy>,
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
    pub on: Option<Policy>,
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
    ("original", include_str!("../../../vm/scenarios/original.toml")),
    ("socket-activated", include_str!("../../../vm/scenarios/socket-activated.toml")),
    ("no-socket", include_str!("../../../vm/scenarios/no-socket.toml")),
    ("no-socket-handed-over", include_str!("../../../vm/scenarios/no-socket-handed-over.toml")),
    ("slow-start", include_str!("../../../vm/scenarios/slow-start.toml")),
    ("network-online", include_str!("../../../vm/scenarios/network-online.toml")),
    ("containerd-late", include_str!("../../../vm/scenarios/containerd-late.toml")),
    ("containerd-gone", include_str!("../../../vm/scenarios/containerd-gone.toml")),
    ("frozen", include_str!("../../../vm/scenarios/frozen.toml")),
    ("by-hand", include_str!("../../../vm/scenarios/by-hand.toml")),
    ("slow-machine", include_str!("../../../vm/scenarios/slow-machine.toml")),
];

const UNITS: &str = "etc/systemd/system";

impl Scenario {
    /// The names of all that are built in.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SCENARIOS.iter().map(|(name, _)| *name)
    }

    /// The one that is called `name`, or that the file `name` describes.
    ///
    /// # Errors
    /// When there is none, or it is malformed.
    pub fn named(name: &str) -> Result<Self, TrialError> {
        let path = Path::new(name);
        if let Some((_, text)) = SCENARIOS.iter().find(|(known, _)| *known == name) {
            return Self::parse(name, path, text);
        }
        if !path.exists() {
            let known = Self::names().collect::<Vec<_>>().join(", ");
            let hint = suggest::hint(&suggest::nearest(name, Self::names()));
            let problem = format!("there is no such scenario or file{hint}; there are {known}");
            return Err(TrialError::Expectations { place: name.to_owned(), problem });
        }
        let text = std::fs::read_to_string(path).map_err(crate::archive::ArchiveError::read(path))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&stem, path, &text)
    }

    fn parse(name: &str, path: &Path, text: &str) -> Result<Self, TrialError> {
        let wrong = |(line, problem): document::Wrong| {
            let place = line.map_or_else(|| name.to_owned(), |line| format!("{}:{line}", path.display()));
            TrialError::Expectations { place, problem }
        };
        let mut scenario: Self = document::parse(path, text).map_err(wrong)?;
        for At { when, .. } in &scenario.faults {
            if when.as_ref().is_some_and(|when| moment(when).is_none()) {
                let problem =
                    format!("{when:?} is no moment; write unit:NAME or path:/PATH", when = when.as_deref());
                return Err(wrong((None, problem)));
            }
        }
        scenario.name = name.to_owned();
        Ok(scenario)
    }

    /// What it changes in its guest's root. `image` is what the client loads.
    pub(super) fn overlay(&self, image: Vec<u8>) -> Overlay {
        let mut overlay = Overlay::default();
        overlay.file("usr/lib/seatrial/await", include_str!("../../../vm/replay/await"));
        overlay.file("usr/lib/seatrial/client", include_str!("../../../vm/replay/client"));
        overlay.file("usr/lib/seatrial/client.tar", image);
        self.start(&mut overlay);
        self.delays(&mut overlay);
        self.files.iter().for_each(|(place, content)| overlay.file(place, content.as_str()));
        self.removed.iter().for_each(|place| overlay.remove(place));
        let inside = self.faults.iter().filter_map(|at| Some((at, at.does.script()?)));
        for (number, (at, script)) in inside.enumerate() {
            overlay.file(&format!("{UNITS}/seatrial-fault-{number}.service"), fault_unit(at, &script));
            let wants = format!("[Unit]\nWants=seatrial-fault-{number}.service\n");
            overlay.file(&format!("{UNITS}/sysinit.target.d/seatrial-fault-{number}.conf"), wants);
        }
        overlay
    }

    fn start(&self, overlay: &mut Overlay) {
        let (at_boot, own) = (
            format!("{UNITS}/multi-user.target.wants/docker.service"),
            "-H unix:///run/docker.sock -H tcp://0.0.0.0:2376",
        );
        let mut hosts = self.hosts.as_deref();
        match self.start {
            Start::Boot => {}
            Start::Socket => overlay.remove(&at_boot),
            Start::SocketOrphaned => {
                hosts = hosts.or(Some(own));
                let sockets = "[Socket]\nListenStream=\nListenStream=/run/docker.sock\n";
                overlay.file(&format!("{UNITS}/docker.socket.d/zz-scenario.conf"), sockets);
            }
            Start::Manual => {
                overlay.remove(&at_boot);
                overlay.remove(&format!("{UNITS}/sockets.target.wants/docker.socket"));
                let unit = format!(
                    "[Unit]\nAfter=multi-user.target\n[Service]\nExecStartPre=/bin/sleep {}\n\
                     ExecStart=/bin/systemctl start docker.service\n",
                    self.by_hand_after
                );
                overlay.file(&format!("{UNITS}/seatrial-by-hand.service"), unit);
                let wants = "[Unit]\nWants=seatrial-by-hand.service\n";
                overlay.file(&format!("{UNITS}/multi-user.target.d/seatrial-by-hand.conf"), wants);
            }
        }
        if let Some(hosts) = hosts {
            let service = format!("[Service]\nEnvironment=\"SEATRIAL_HOSTS={hosts}\"\n");
            overlay.file(&format!("{UNITS}/docker.service.d/zz-hosts.conf"), service);
        }
    }

    fn delays(&self, overlay: &mut Overlay) {
        for (unit, seconds) in [("docker", self.before_docker), ("containerd", self.before_containerd)] {
            if seconds > 0 {
                let before = format!("[Service]\nExecStartPre=/bin/sleep {seconds}\n");
                overlay.file(&format!("{UNITS}/{unit}.service.d/zz-delay.conf"), before);
            }
        }
        if self.network_online > 0 {
            let online = format!(
                "[Unit]\nDefaultDependencies=no\nAfter=sysinit.target\nBefore=network-online.target\n\
                 [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep {}\n",
                self.network_online
            );
            overlay.file(&format!("{UNITS}/seatrial-online.service"), online);
            let wants = "[Unit]\nWants=seatrial-online.service\n";
            overlay.file(&format!("{UNITS}/network-online.target.d/seatrial-online.conf"), wants);
            let waits = "[Unit]\nWants=network-online.target\nAfter=network-online.target\n";
            overlay.file(&format!("{UNITS}/docker.service.d/zz-online.conf"), waits);
        }
    }

    /// What is done to the machine from outside, once it is let go.
    pub(super) fn outside(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().map(|at| &at.does).filter(|fault| fault.script().is_none())
    }
}

/// The two words of a moment: what is waited for.
fn moment(when: &str) -> Option<(&str, &str)> {
    let (what, of) = when.split_once(':')?;
    let plain = of.chars().all(|c| c.is_ascii_alphanumeric() || "-._@/".contains(c));
    (plain && !of.is_empty() && ["unit", "path"].contains(&what)).then_some((what, of))
}

fn fault_unit(At { when, after, does }: &At, script: &str) -> String {
    let wait = when.as_deref().and_then(moment).map_or(String::new(), |(what, of)| {
        format!("ExecStart=/usr/bin/perl /usr/lib/seatrial/await 600 {what} {of}\n")
    });
    format!(
        "[Unit]\nDescription=does: {does}\nDefaultDependencies=no\nAfter=seatrial-hold.service\n\
         [Service]\nType=oneshot\nTimeoutStartSec=infinity\n{wait}ExecStart=/bin/sleep {after}\n\
         ExecStart=/bin/sh -c '{}'\n",
        script.replace('$', "$$").replace('%', "%%")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_can_be_read_and_has_its_page() {
        let pages = include_str!("../../../docs/timing.md");
        for name in Scenario::names() {
            let scenario = Scenario::named(name).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(!scenario.breaks.contains(&Policy::Ready), "{name}");
            let place = scenario.explained.unwrap_or_default();
            let anchor = place.strip_prefix("docs/timing.md#").unwrap_or_else(|| panic!("{name}: {place}"));
            let heading = |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            assert!(pages.lines().any(|line| line.starts_with("## ") && heading(line) == anchor), "{anchor}");
        }
    }

    #[test]
    fn an_unknown_scenario_names_the_nearest_and_a_wrong_one_its_line() {
        let error = Scenario::named("orignal").unwrap_err().to_string();
        assert!(error.contains("did you mean \"original\"?"), "{error}");
        let text = "title = \"x\"\nclient = { does = \"run\", within = 1 }\nbefore_dokcer = 1\n";
        let error = Scenario::parse("x", Path::new("x.toml"), text).unwrap_err().to_string();
        assert_eq!(error, "x.toml:3: unknown key \"before_dokcer\"; did you mean \"before_docker\"?");
    }
}
