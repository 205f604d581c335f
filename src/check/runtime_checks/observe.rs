//! Runs the image's own command on an engine and observes what it does, for a draft.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::sleep;

use crate::check::CheckError;
use crate::check::draft::behavior::{Behavior, Kind, OpenPort, Stop};
use crate::check::expectations::{HttpExpectations, Port, Protocol, Timeout, TlsSettings};
use crate::check::image::ImageUnderTest;
use crate::engine::{Container, EngineError, RunOptions, RunOutput};
use crate::harness::{Answer, Daemon, HarnessError, LoadedImage, send, sockets};
use crate::image::config::Set;
use crate::vm::instance::Reached;

/// How long a command may take until it listens on its ports, or ends.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a command must keep running, with the same open ports, to count as a service.
const SETTLE_TIME: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(300);
/// The time that a service gets to end after its stop signal.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// The time that a port gets to answer.
const ANSWER_TIMEOUT: Timeout = Timeout::from_secs(10);
/// The most ports that are asked for an answer in HTTP.
const PORTS_MAX: usize = 10;
/// The ports that Linux gives to sockets which ask for none (`ip_local_port_range`, its default):
/// a UDP socket that waits for an answer looks like that of a server.
const CLIENT_PORTS: RangeInclusive<u16> = 32_768..=60_999;

impl ImageUnderTest {
    /// Loads the image into the engine of `daemon`, runs its own command and observes it: what it
    /// prints if it ends, on which ports it listens and how it stops if it keeps running. `engine`
    /// is the engine's name.
    ///
    /// # Errors
    /// If the engine rejects the image, or fails.
    pub async fn observe(&self, daemon: &Daemon, engine: &str) -> Result<Behavior, CheckError> {
        let image = daemon.load_opened(&self.image.path, &self.image, &self.layer_sizes()).await?;
        let exposed = exposed_ports(&self.image.config.config.exposed_ports);
        let kind = match observe(&image, &exposed).await {
            Err(HarnessError::Engine(EngineError::Start(problem))) => Kind::Refused(problem),
            observed => observed?,
        };
        Ok(Behavior { engine: engine.to_owned(), kind })
    }
}

fn exposed_ports(exposed: &Option<Set>) -> BTreeSet<Port> {
    let names = exposed.iter().flat_map(|set| set.keys());
    names.filter_map(|name| Port::of_exposed(name)).collect()
}

async fn observe(image: &LoadedImage<'_>, exposed: &BTreeSet<Port>) -> Result<Kind, HarnessError> {
    let options = RunOptions { network: true, ..RunOptions::default() };
    let container = image.start(&options).await?.into_engine_container();
    let first = first_run(image.daemon(), &container, exposed).await;
    match container.remove_after(first).await? {
        Observed::Served { ports, silent, stop } => Ok(Kind::Served { ports, silent, stop }),
        Observed::Ended(first) => {
            let second = image.run(&options, 2 * TIMEOUT).await?;
            Ok(Kind::Ended([first, second]))
        }
    }
}

/// The behavior of the first container.
enum Observed {
    Ended(RunOutput),
    Served { ports: Vec<OpenPort>, silent: Vec<Port>, stop: Stop },
}

async fn first_run(
    daemon: &Daemon,
    container: &Container,
    exposed: &BTreeSet<Port>,
) -> Result<Observed, HarnessError> {
    let Some(open) = ports_of_service(daemon, container, exposed).await? else {
        return Ok(Observed::Ended(container.wait().await?));
    };
    let silent = exposed.difference(&open).copied().collect();
    let mut open: Vec<Port> = open.into_iter().collect();
    // The first one decides when the service is ready.
    open.sort_by_key(|port| (!exposed.contains(port), port.protocol, port.number));
    let mut ports = Vec::new();
    for port in open {
        let may_answer = port.protocol == Protocol::Tcp && ports.len() < PORTS_MAX;
        let (status, tls) = match may_answer {
            true => answer(daemon, container, port.number).await?,
            false => (None, false),
        };
        ports.push(OpenPort { port, status, tls });
    }
    Ok(Observed::Served { ports, silent, stop: stop(daemon, container).await? })
}

/// Waits until the container has been running with the same open ports for a while, and returns
/// these; `None` if its command ends. A command has time until the timeout to listen on a port, and
/// on all that the image exposes.
async fn ports_of_service(
    daemon: &Daemon,
    container: &Container,
    exposed: &BTreeSet<Port>,
) -> Result<Option<BTreeSet<Port>>, HarnessError> {
    let begin = daemon.vm().uptime().await?;
    let (mut open, mut since) = (BTreeSet::new(), begin);
    loop {
        if !container.state().await?.running {
            return Ok(None);
        }
        let found = open_ports(daemon, container, exposed).await?;
        let now = daemon.vm().uptime().await?;
        if found != open {
            (open, since) = (found, now);
        }
        let is_complete = !open.is_empty() && exposed.is_subset(&open);
        if now >= begin + TIMEOUT || (is_complete && now >= since + SETTLE_TIME) {
            return Ok(Some(open));
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// The ports on which the container listens, but for those that only itself can reach, and for UDP
/// ports of clients.
async fn open_ports(
    daemon: &Daemon,
    container: &Container,
    exposed: &BTreeSet<Port>,
) -> Result<BTreeSet<Port>, HarnessError> {
    let inside = sockets::inspect(daemon, container).await?;
    let reachable = inside.sockets.into_iter().filter(|socket| !socket.is_loopback());
    let ports = reachable.map(|socket| socket.port);
    let is_of_client =
        |port: &Port| port.protocol == Protocol::Udp && CLIENT_PORTS.contains(&port.number);
    Ok(ports.filter(|port| exposed.contains(port) || !is_of_client(port)).collect())
}

/// How a port reacts to a request in HTTP.
enum Reaction {
    /// An answer with this status.
    Status(u16),
    /// Anything else, such as the end of the connection.
    NoHttp,
    /// It accepts the connection, but sends nothing.
    Silence,
}

impl Reaction {
    fn status(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(*status),
            Self::NoHttp | Self::Silence => None,
        }
    }
}

/// The status of the answer to `GET /`, if `port` speaks HTTP, and whether it came over TLS.
async fn answer(
    daemon: &Daemon,
    container: &Container,
    port: u16,
) -> Result<(Option<u16>, bool), HarnessError> {
    let plain = request(daemon, container, port, None).await?;
    // Servers that speak TLS answer a plain request with 400, or with an alert.
    if !matches!(plain, Reaction::NoHttp | Reaction::Status(400)) {
        return Ok((plain.status(), false));
    }
    let encrypted = request(daemon, container, port, Some(TlsSettings::unverified())).await?;
    Ok((encrypted.status().or(plain.status()), encrypted.status().is_some()))
}

/// Sends `GET /`.
async fn request(
    daemon: &Daemon,
    container: &Container,
    port: u16,
    tls: Option<TlsSettings>,
) -> Result<Reaction, HarnessError> {
    let timeout = Some(ANSWER_TIMEOUT);
    let request = HttpExpectations { port, tls, timeout, ..HttpExpectations::default() };
    Ok(match send(daemon, container, &request).await? {
        Reached::Connected(Answer { is_late: true, .. }) => Reaction::Silence,
        Reached::Connected(Answer { status: Some(status), problem: None, .. }) => {
            Reaction::Status(status.as_u16())
        }
        Reached::Connected(_) | Reached::Refused(_) => Reaction::NoHttp,
    })
}

async fn stop(daemon: &Daemon, container: &Container) -> Result<Stop, HarnessError> {
    let begin = daemon.vm().uptime().await?;
    container.stop(STOP_TIMEOUT).await?;
    let took = daemon.vm().uptime().await?.saturating_sub(begin);
    let output = container.wait().await?;
    match took >= STOP_TIMEOUT && output.signal() == Some(9) {
        true => Ok(Stop::Killed(STOP_TIMEOUT.as_secs())),
        false => Ok(Stop::Ended(output.code)),
    }
}
