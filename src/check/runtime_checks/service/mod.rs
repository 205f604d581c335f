//! Checks of a service: it is started, waited for, sent requests from outside of its container, and
//! stopped. A service that ends by itself fails, unless that is expected.

mod end;
mod ready;
mod requests;

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use self::end::EndNotice;
use crate::check::expectations::ServiceExpectations;
use crate::check::verdict::Checks;
use crate::engine::Container;
use crate::harness::{HarnessError, LoadedImage};

/// The time between two looks at a service.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Bounds of the time for which a ready service must keep running. In between, it is the time that
/// the engine needed to start the container, which grows with the load of the host.
const SETTLE_MIN: Duration = Duration::from_millis(500);
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// Starts the service, compares it with `expected`, and removes it.
pub(super) async fn check(
    image: &LoadedImage<'_>,
    expected: &ServiceExpectations,
) -> Result<(Checks, String), HarnessError> {
    let begin = Instant::now();
    let container = image.start(&expected.container.options(true)).await?;
    let settle_time = begin.elapsed().clamp(SETTLE_MIN, SETTLE_MAX);
    let (checks, end) = (Checks::default(), EndNotice::new(&container));
    let mut service = Service { image, container: &container, expected, settle_time, end, checks };
    let result = service.check().await;
    let checks = service.checks;
    let logs = container.logs().await.map(|(stdout, stderr)| stdout + &stderr).unwrap_or_default();
    container.remove().await?;
    result?;
    Ok((checks, logs))
}

/// A running service and its checks so far.
struct Service<'a> {
    image: &'a LoadedImage<'a>,
    container: &'a Container,
    expected: &'a ServiceExpectations,
    /// The time for which a ready service must keep running.
    settle_time: Duration,
    /// Arrives when the container ends.
    end: EndNotice,
    checks: Checks,
}

impl Service<'_> {
    async fn check(&mut self) -> Result<(), HarnessError> {
        if !self.becomes_ready(&self.expected.ready).await? {
            return Ok(());
        }
        let settled = Instant::now() + self.settle_time;
        for request in &self.expected.http {
            self.check_http(request).await?;
        }
        for command in &self.expected.exec {
            self.check_exec(command).await?;
        }
        if let Some(log) = &self.expected.log {
            self.check_log(log).await?;
        }
        if let Some(code) = self.expected.exit_code {
            return self.check_exit(code).await;
        }
        self.end.or(sleep_until(settled)).await;
        if self.has_ended("keeps running").await? {
            return Ok(());
        }
        match &self.expected.stop {
            Some(stop) => self.check_stop(stop).await,
            None => Ok(()),
        }
    }
}
