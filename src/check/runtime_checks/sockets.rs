//! Compares the sockets and processes of a container with those of a goss file.

use std::time::Duration;

use tokio::time::sleep;

use crate::check::expectations::{Found, SocketExpectations, SocketSubject};
use crate::check::verdict::Checks;
use crate::engine::Container;
use crate::harness::sockets::{self, Inside};
use crate::harness::{Daemon, EndNotice, HarnessError};
use crate::text::Description;
use crate::vm::instance::Socket;

/// The time in which expected ports must listen and expected processes must run.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The time for which ports must not listen and processes must not run, after everything that is
/// expected to do so does.
const SETTLE: Duration = Duration::from_secs(1);
/// The same if nothing is expected to listen or to run: the service may have begun just now.
const SETTLE_ALONE: Duration = Duration::from_secs(3);
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// The wait until sockets and processes are as expected. Points in time are those of a clock.
struct Wait {
    deadline: Duration,
    /// The time for which everything must be as expected.
    settle: Duration,
    /// The time since which everything is as expected.
    met_since: Option<Duration>,
}

impl Wait {
    fn new(expected: &[&SocketExpectations], now: Duration) -> Self {
        let holds =
            |found: bool| expected.iter().any(|it| it.expected.is_match(&Found::Bool(found)));
        // What is absent at first may still appear, but what is there is there.
        let settle = match (holds(false), holds(true)) {
            (false, _) => Duration::ZERO,
            (true, true) => SETTLE,
            (true, false) => SETTLE_ALONE,
        };
        Self { deadline: now + TIMEOUT, settle, met_since: None }
    }

    /// Notes whether everything is as expected, and returns whether the wait is over.
    fn note(&mut self, met: bool, now: Duration) -> bool {
        self.met_since = met.then(|| self.met_since.unwrap_or(now));
        let is_settled = self.met_since.is_some_and(|since| now >= since + self.settle);
        is_settled || now >= self.deadline
    }
}

/// Compares the container with each of `expected`, once everything is as expected, the time is over
/// or the container has ended.
pub(super) async fn check(
    daemon: &Daemon,
    container: &Container,
    end: &EndNotice,
    expected: &[&SocketExpectations],
) -> Result<Vec<Checks>, HarnessError> {
    if expected.is_empty() {
        return Ok(Vec::new());
    }
    let clock = daemon.vm().clock();
    let mut wait = Wait::new(expected, clock.now());
    let inside = loop {
        // Nothing appears in a container that had ended before.
        let has_ended = !container.state().await?.running;
        let inside = sockets::inspect(daemon, container).await?;
        let is_over = wait.note(expected.iter().all(|it| it.is_met(&inside)), clock.now());
        if is_over || has_ended {
            break inside;
        }
        end.or(sleep(POLL_INTERVAL)).await;
    };
    Ok(expected.iter().map(|expected| expected.compare(&inside)).collect())
}

impl SocketExpectations {
    fn compare(&self, inside: &Inside) -> Checks {
        let mut checks = Checks::default();
        let present = self.is_present(inside);
        let passed = self.expected.is_match(&Found::Bool(present));
        let key = match &self.subject {
            SocketSubject::Port { .. } => "listening",
            SocketSubject::Process(_) => "running",
        };
        checks.record(key, self.expected.in_words(), Description::of(present), passed);
        if let Some(matcher) = self.addresses.as_ref().filter(|_| present) {
            let addresses = self.addresses_of(inside);
            let shown = Description::of(&addresses);
            let passed = matcher.is_match(&Found::List(addresses));
            checks.record("ip", matcher.in_words(), shown, passed);
        }
        checks
    }

    fn is_present(&self, inside: &Inside) -> bool {
        match &self.subject {
            SocketSubject::Port { .. } => !self.addresses_of(inside).is_empty(),
            SocketSubject::Process(name) => inside.processes.contains(name),
        }
    }

    /// The addresses at which the port listens.
    fn addresses_of(&self, inside: &Inside) -> Vec<String> {
        let SocketSubject::Port { port, ipv6 } = &self.subject else { return Vec::new() };
        let is_it = |it: &&Socket| it.port == *port && it.address.is_ipv6() == *ipv6;
        inside.sockets.iter().filter(is_it).map(|socket| socket.address.to_string()).collect()
    }

    fn is_met(&self, inside: &Inside) -> bool {
        self.expected.is_match(&Found::Bool(self.is_present(inside)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::check::expectations::Matcher;

    fn port(number: u16, listening: bool) -> SocketExpectations {
        SocketExpectations {
            subject: SocketSubject::Port { port: number.into(), ipv6: false },
            expected: Matcher::parse(&json!(listening), false).unwrap(),
            addresses: None,
        }
    }

    /// The second at which a wait is over that looks once a second, and sees in turn whether
    /// everything is as expected.
    fn end(expected: &[SocketExpectations], seen: impl Fn(u64) -> bool) -> u64 {
        let expected: Vec<&SocketExpectations> = expected.iter().collect();
        let mut wait = Wait::new(&expected, Duration::ZERO);
        (0..100).find(|second| wait.note(seen(*second), Duration::from_secs(*second))).unwrap()
    }

    #[test]
    fn what_must_be_absent_must_stay_absent_for_a_while() {
        let absent = [port(22, false)];
        assert_eq!(end(&absent, |_| true), 3);
        // A service that binds the port in the second second.
        assert_eq!(end(&absent, |second| second < 2), 30);
        // A program that runs only at the start.
        assert_eq!(end(&absent, |second| second >= 5), 8);
    }

    #[test]
    fn what_must_be_there_is_waited_for_and_what_must_not_is_looked_at_after_that() {
        assert_eq!(end(&[port(80, true)], |second| second >= 7), 7);
        assert_eq!(end(&[port(80, true)], |_| false), 30);
        let both = [port(80, true), port(22, false)];
        assert_eq!(end(&both, |second| second >= 7), 8);
        assert_eq!(end(&both, |second| second == 7), 30);
    }
}
