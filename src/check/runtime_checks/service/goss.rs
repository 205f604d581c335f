//! Tests of a goss file that need a container which runs: ports, processes, requests and commands.

use std::mem;

use tokio::time::Instant;

use super::Service;
use crate::check::expectations::GossExpectations;
use crate::check::runtime_checks::sockets;
use crate::harness::HarnessError;

impl Service<'_> {
    pub(super) async fn check_goss(&mut self) -> Result<(), HarnessError> {
        self.check_sockets().await?;
        let expected = self.expected;
        for (index, test) in expected.tests.iter().enumerate() {
            let (begin, of_service) = (Instant::now(), mem::take(&mut self.checks));
            let checked = match &test.expected {
                Some(GossExpectations::Http(request)) => Some(self.check_http(request).await),
                Some(GossExpectations::Exec(command)) => Some(self.check_exec(command).await),
                _ => None,
            };
            let checks = mem::replace(&mut self.checks, of_service);
            if let Some(checked) = checked {
                checked?;
                self.results.made.insert(index, (checks, begin.elapsed()));
            }
        }
        Ok(())
    }

    /// Waits for all ports and processes together.
    async fn check_sockets(&mut self) -> Result<(), HarnessError> {
        let begin = Instant::now();
        let tests = self.expected.tests.iter().enumerate();
        let sockets = tests.filter_map(|(index, test)| match &test.expected {
            Some(GossExpectations::Socket(socket)) => Some((index, socket)),
            _ => None,
        });
        let (indexes, sockets): (Vec<_>, Vec<_>) = sockets.unzip();
        let (daemon, container) = (self.image.daemon(), self.container);
        let checks = sockets::check(daemon, container, &self.end, &sockets).await?;
        let share = begin.elapsed() / checks.len().max(1) as u32;
        let results = indexes.into_iter().zip(checks);
        self.results.made.extend(results.map(|(index, checks)| (index, (checks, share))));
        Ok(())
    }
}
