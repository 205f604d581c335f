//! Running containers beside the commands and services of a file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::check::expectations::{CompanionSpec, Port, companion};
use crate::engine::{Container, Engine, Exit, RunOptions, State};
use crate::harness::{Daemon, HarnessError, LoadedImage, sockets};
use crate::text;

/// The address of each container in a pod, seen from the others.
pub(super) const LOCALHOST: &str = "127.0.0.1";
/// Stands for the address of a container that has ended, which the next one may get. It is a
/// broadcast address, to which Linux refuses connections at once.
const UNREACHABLE: &str = "255.255.255.255";

/// The images of further containers that are not the image under test, by the path of their archive
/// or recipe: the image in the engine, or the reason why it is not there.
pub(in crate::check) type Images<'d> = BTreeMap<PathBuf, Result<CompanionImage<'d>, String>>;

/// The image of a further container in the engine.
pub(in crate::check) struct CompanionImage<'d> {
    pub(in crate::check) image: LoadedImage<'d>,
    /// The `User` of its config.
    pub(in crate::check) user: Option<String>,
}

/// The names of containers by the ports on which they listen.
pub(super) type PortsInPod = BTreeMap<Port, String>;

/// Running containers.
#[derive(Default)]
pub(super) struct Companions {
    running: Vec<Companion>,
    /// The names of all containers of a pod, which has one address.
    names_in_pod: Vec<String>,
    /// Whether the engine no longer answers: each request for a state would wait for it again.
    is_engine_lost: AtomicBool,
}

/// A running container, and how the others reach it.
pub(super) struct Companion {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) container: Container,
    pub(super) address: String,
    /// The file of the guest that is its `/etc/hosts`, if names can be added to it.
    pub(super) hosts: Option<String>,
    /// Whether it is known to have ended.
    pub(super) has_ended: AtomicBool,
}

impl Companion {
    /// The address at which containers that start now reach it.
    fn address(&self) -> &str {
        // In a pod, they all have the same one.
        match self.has_ended.load(Ordering::Relaxed) && self.container.pod().is_none() {
            true => UNREACHABLE,
            false => &self.address,
        }
    }

    /// Notes that it has ended: containers that start later no longer reach it.
    pub(super) fn note_end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    /// Whether the next container may get its address.
    fn may_be_replaced(&self) -> bool {
        self.container.pod().is_none() && !self.has_ended.load(Ordering::Relaxed)
    }

    /// Describes how the container ended, in one line.
    pub(super) fn describe_end(&self, state: &State) -> String {
        let exit = state.exit.as_ref().map_or("no exit code".to_owned(), Exit::to_string);
        let address = match self.container.pod() {
            None => format!("; for containers that start later, its address is {UNREACHABLE}"),
            Some(_) => String::new(),
        };
        format!("container {} has ended with {exit}{address}", self.name)
    }

    /// Describes how the container ended, with the last lines of its output.
    pub(super) async fn describe_end_and_output(&self, state: &State) -> String {
        let end = self.describe_end(state);
        let Ok((stdout, stderr)) = self.container.logs().await else { return end };
        let output = text::end_of_output("output", &stdout);
        let lines = [output, text::end_of_output("standard error", &stderr)].concat();
        match lines.is_empty() {
            true => format!("{end}; it printed nothing"),
            false => format!("{end}\n{}", lines.join("\n")),
        }
    }
}

impl Companions {
    /// None yet of `specs`, which are going to be started on `engine`.
    pub(super) fn new(specs: &BTreeMap<String, CompanionSpec>, engine: &Engine) -> Self {
        let names = specs.iter().flat_map(|(name, spec)| spec.aliases.iter().chain([name]));
        let names_in_pod = match engine {
            Engine::Cri(_) => names.cloned().collect(),
            Engine::Docker(_) => Vec::new(),
        };
        Self { names_in_pod, ..Self::default() }
    }

    /// Notes which containers have ended, so that the next one does not get their addresses for
    /// those of the others. Whether the engine answers is for the next request to report.
    async fn note_ends(&self, daemon: &Daemon) {
        if self.is_engine_lost.load(Ordering::Relaxed) {
            return;
        }
        let states = Box::pin(async {
            for companion in self.running.iter().filter(|it| it.may_be_replaced()) {
                if !companion.container.state().await?.running {
                    companion.note_end();
                }
            }
            Ok(())
        });
        let noted = daemon.watched_to_end(states).await;
        let is_lost = noted.is_err_and(|error| error.is_of_lost_engine());
        self.is_engine_lost.store(is_lost, Ordering::Relaxed);
    }

    /// Returns `options` for a container beside these, which starts now: it knows their names, and
    /// its variables their addresses. Over CRI, it is in the same pod.
    pub(super) async fn beside(&self, daemon: &Daemon, options: RunOptions) -> RunOptions {
        if self.running.iter().any(Companion::may_be_replaced) {
            self.note_ends(daemon).await;
        }
        self.with_addresses(options)
    }

    fn with_addresses(&self, mut options: RunOptions) -> RunOptions {
        options.pod = self.running.iter().find_map(|companion| companion.container.pod());
        for name in self.names_in_pod.iter().filter(|_| options.network) {
            let hosts = &mut options.settings.hosts;
            hosts.entry(name.clone()).or_insert_with(|| LOCALHOST.to_owned());
        }
        for companion in &self.running {
            let (Companion { name, aliases, .. }, address) = (companion, companion.address());
            let placeholder = companion::placeholder(name);
            for entry in &mut options.env {
                *entry = entry.replace(&placeholder, address);
            }
            for name in aliases.iter().chain([name]).filter(|_| options.network) {
                let hosts = &mut options.settings.hosts;
                hosts.entry(name.clone()).or_insert_with(|| address.to_owned());
            }
        }
        options
    }

    /// Adds the names of `container`, which was just started, to `/etc/hosts` of the containers
    /// that run already, and to its own. Over CRI, they have the names from the start. Returns its
    /// address, and the file of the guest that is its `/etc/hosts`.
    ///
    /// # Errors
    /// If it has no address, or a request fails.
    pub(super) async fn announce(
        &self,
        daemon: &Daemon,
        names: &[&str],
        container: &Container,
    ) -> Result<(String, Option<String>), HarnessError> {
        let Container::Docker(of_docker) = container else {
            return Ok((LOCALHOST.to_owned(), None));
        };
        let (address, hosts) = (container.address().await?, of_docker.hosts_path().await?);
        let running = self.running.iter().map(|companion| &companion.hosts);
        let files: Vec<&str> = running.chain([&hosts]).filter_map(Option::as_deref).collect();
        daemon.add_host_names(&files, &address, names).await?;
        Ok((address, hosts))
    }

    /// Adds a container that was started after the others.
    pub(super) fn add(&mut self, companion: Companion) {
        self.running.push(companion);
    }

    /// The containers, in the order in which they were started.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Companion> {
        self.running.iter()
    }

    /// Returns the ports on which the containers listen whose ports those of others would be, and
    /// their names: in a pod, there is one address.
    pub(super) async fn ports_in_pod(&self, daemon: &Daemon) -> PortsInPod {
        let mut ports = PortsInPod::new();
        for Companion { name, container, .. } in &self.running {
            if container.pod().is_none() {
                continue;
            }
            let inside = sockets::inspect(daemon, container).await.unwrap_or_default();
            for socket in inside.sockets {
                ports.entry(socket.port).or_insert(name.clone());
            }
        }
        ports
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Removes the containers, the last one first.
    pub(super) async fn remove(mut self) {
        while let Some(companion) = self.running.pop() {
            // The VM ends soon, whatever is left in it.
            let _ = companion.container.remove().await;
        }
    }
}
