//! Compares the sockets and processes of a container with those of a goss file.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::check::expectations::{Found, SocketExpectations, SocketSubject};
use crate::check::verdict::Checks;
use crate::engine::Container;
use crate::harness::sockets::{self, Inside};
use crate::harness::{Daemon, HarnessError};
use crate::value;

/// The time in which expected ports must listen and expected processes must run.
const TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// Compares the container with `expected`, until everything is as expected or the time is over.
pub(super) async fn check(
    daemon: &Daemon,
    container: &Container,
    expected: &[SocketExpectations],
    checks: &mut Checks,
) -> Result<(), HarnessError> {
    if expected.is_empty() {
        return Ok(());
    }
    let deadline = Instant::now() + TIMEOUT;
    let inside = loop {
        let inside = sockets::look(daemon, container).await?;
        if expected.iter().all(|it| it.is_met(&inside)) || Instant::now() >= deadline {
            break inside;
        }
        sleep(POLL_INTERVAL).await;
    };
    for expected in expected {
        let present = expected.is_present(&inside);
        let found = Found::Bool(present);
        checks.record(
            &expected.name,
            &expected.expected,
            present,
            expected.expected.is_match(&found),
        );
        if let Some(matcher) = expected.addresses.as_ref().filter(|_| present) {
            let addresses = expected.addresses_of(&inside);
            let (subject, shown) = (format!("{}: ip", expected.name), value::format(&addresses));
            checks.record(&subject, matcher, shown, matcher.is_match(&Found::List(addresses)));
        }
    }
    Ok(())
}

impl SocketExpectations {
    fn is_present(&self, inside: &Inside) -> bool {
        match &self.subject {
            SocketSubject::Port(..) => !self.addresses_of(inside).is_empty(),
            SocketSubject::Process(name) => inside.processes.contains(name),
        }
    }

    /// The addresses at which the port listens.
    fn addresses_of(&self, inside: &Inside) -> Vec<String> {
        let SocketSubject::Port(protocol, port) = &self.subject else { return Vec::new() };
        let is_it =
            |(found, _, number): &&(String, IpAddr, u16)| found == protocol && number == port;
        inside.sockets.iter().filter(is_it).map(|(_, address, _)| address.to_string()).collect()
    }

    fn is_met(&self, inside: &Inside) -> bool {
        self.expected.is_match(&Found::Bool(self.is_present(inside)))
    }
}
