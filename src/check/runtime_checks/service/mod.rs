//! Checks of a service: it is started, waited for, sent requests from outside of its container, and
//! stopped. A service that ends by itself fails, unless that is expected.

mod accounts_and_packages;
mod container_files;
mod end;
mod failing_start;
mod files;
mod goss;
mod intervals;
mod properties;
mod ready;
mod requests;
mod supported;
mod test_results;
mod user;

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use self::intervals::{SETTLE_MAX, SETTLE_MIN};
pub(in crate::check) use self::supported::PARTS;
pub(super) use self::supported::{parts, supported};
pub(super) use self::test_results::TestResults;
use super::companions::Companions;
use super::output::Output;
use super::{hints, rejection};
use crate::check::expectations::{ServiceExpectations, Start};
use crate::check::image::ImageUnderTest;
use crate::check::verdict::Checks;
use crate::engine::{Container, EngineError, RunOptions};
use crate::harness::{EndNotice, HarnessError, LineEnds, LoadedImage};
use crate::linux::container_user::UserIds;

/// The expectation of a service that is ready.
const KEEPS_RUNNING: &str = "keeps running";

/// Starts the service with `options`, compares it with `expected`, and removes it. `results` gets
/// those of the tests of its goss file.
pub(super) async fn check(
    (image, of_image): (&LoadedImage<'_>, &ImageUnderTest),
    expected: &ServiceExpectations,
    options: &RunOptions,
    companions: &Companions,
    results: &mut TestResults,
) -> Result<(Checks, Output), HarnessError> {
    let begin = Instant::now();
    let started = match image.start(options).await {
        Err(HarnessError::Engine(EngineError::Start(problem)))
            if expected.start == Start::Fails =>
        {
            return Ok((Service::check_refusal(expected, &problem), Output::default()));
        }
        started => started?,
    };
    let (settle_time, container) = (settle_time(begin.elapsed()), started.engine_container());
    let mut service = Service::new(image, container, expected, settle_time);
    service.of_image = Some(of_image);
    let result = image.daemon().watched_to_end(Box::pin(service.check())).await;
    let mut checks = service.checks;
    *results = service.results;
    if result.is_err() {
        return started.remove_after(result).await.map(|()| (checks, Output::default()));
    }
    let has_failed = !checks.mismatches().is_empty();
    let failed = if has_failed { Some(&mut checks) } else { results.first_failed(expected) };
    if let Some(failed) = failed {
        failed.hint(hints::of_service(image, container, expected, companions).await);
    }
    let output = rejection::output(container, &mut checks).await;
    let id = Some(container.id().to_owned());
    started.remove().await?;
    Ok((checks, Output { container: id, ..output }))
}

/// The time for which a service must keep running once it is ready, if the engine needed
/// `start_time` to start its container.
fn settle_time(start_time: Duration) -> Duration {
    start_time.clamp(SETTLE_MIN, SETTLE_MAX)
}

/// Waits until the container of a service, which the engine started in `start_time`, is ready, and
/// whether it keeps running. If not, it is removed, and its output is returned instead.
pub(super) async fn wait_ready(
    image: &LoadedImage<'_>,
    expected: &ServiceExpectations,
    container: Container,
    start_time: Duration,
    companions: &Companions,
) -> Result<(Checks, Result<Container, Output>), HarnessError> {
    let mut service = Service::new(image, &container, expected, settle_time(start_time));
    let ready = image.daemon().watched_to_end(Box::pin(service.stays_ready())).await;
    let mut checks = service.checks;
    match ready {
        Ok(true) => return Ok((checks, Ok(container))),
        Ok(false) => {}
        Err(_) => {
            return container.remove_after(ready).await.map(|_| (checks, Err(Output::default())));
        }
    }
    checks.hint(hints::of_service(image, &container, expected, companions).await);
    let output = rejection::output(&container, &mut checks).await;
    container.remove().await?;
    Ok((checks, Err(output)))
}

/// A running service and its checks so far.
struct Service<'a> {
    image: &'a LoadedImage<'a>,
    container: &'a Container,
    expected: &'a ServiceExpectations,
    /// The image as it was read, if files of the container are compared.
    of_image: Option<&'a ImageUnderTest>,
    /// The user with which the engine runs commands in the container, once that is known.
    user: Option<UserIds>,
    /// Whether a file of the container was not read in time: then no other is read.
    is_late: bool,
    /// The time for which a ready service must keep running.
    settle_time: Duration,
    /// Arrives when the container ends.
    end: EndNotice,
    checks: Checks,
    /// The results of tests of its goss file.
    results: TestResults,
}

impl<'a> Service<'a> {
    fn new(
        image: &'a LoadedImage<'a>,
        container: &'a Container,
        expected: &'a ServiceExpectations,
        settle_time: Duration,
    ) -> Self {
        let (checks, end) = (Checks::default(), EndNotice::new(container));
        let results = TestResults::default();
        let (of_image, user, is_late) = (None, None, false);
        Self {
            image,
            container,
            expected,
            of_image,
            user,
            is_late,
            settle_time,
            end,
            checks,
            results,
        }
    }

    /// The line ends in the output of the container.
    fn line_ends(&self) -> LineEnds {
        LineEnds::new(self.image.daemon().engine(), self.expected.container.tty)
    }

    /// Waits until the service is ready, and returns whether it keeps running for a moment then.
    async fn stays_ready(&mut self) -> Result<bool, HarnessError> {
        if !self.becomes_ready(&self.expected.ready).await? {
            return Ok(false);
        }
        self.end.or(sleep(self.settle_time)).await;
        Ok(!self.has_ended(KEEPS_RUNNING).await?)
    }

    async fn check(&mut self) -> Result<(), HarnessError> {
        if self.expected.start == Start::Fails {
            return self.check_failing_start().await;
        }
        if !self.becomes_ready(&self.expected.ready).await? {
            return self.check_properties(None).await;
        }
        let settled = Instant::now() + self.settle_time;
        for request in &self.expected.http {
            self.check_http(request).await?;
        }
        for command in &self.expected.exec {
            self.check_exec(command).await?;
        }
        self.check_files().await?;
        self.check_goss().await?;
        self.check_properties(Some(settled)).await?;
        if let Some(code) = self.expected.exit_code {
            self.check_exit(code).await?;
            return self.check_log().await;
        }
        self.end.or(sleep_until(settled)).await;
        self.check_log().await?;
        if self.has_ended(KEEPS_RUNNING).await? {
            return Ok(());
        }
        match &self.expected.stop {
            Some(stop) => self.check_stop(stop).await,
            None => Ok(()),
        }
    }
}
