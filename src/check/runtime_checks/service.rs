//! Checks of a service: it is started, waited for, sent requests from outside of its container, and
//! stopped.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::check::expectations::{
    HttpExpectations, ReadyConditions, ServiceExpectations, StopExpectations,
};
use crate::check::verdict::Checks;
use crate::engine::Container;
use crate::harness::{HarnessError, LoadedImage, value};

/// The default timeout of `ready` in seconds.
const DEFAULT_READY_TIMEOUT: u64 = 60;
/// The default timeout of `stop` in seconds.
const DEFAULT_STOP_TIMEOUT: u64 = 10;
/// The timeout of an HTTP request in seconds.
const HTTP_TIMEOUT: u64 = 20;
/// Additional time for the guest to run a probe.
const PROBE_GRACE: u64 = 10;
/// The time between two looks at the conditions of `ready`.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The guest's program that connects to services.
const PROBE: &str = "/usr/lib/seatrial/probe";

/// Starts the service, compares it with `expected`, and removes it.
pub(super) async fn check(
    image: &LoadedImage<'_>,
    expected: &ServiceExpectations,
) -> Result<(Checks, String), HarnessError> {
    let container = image.start(&expected.container.options(true)).await?;
    let mut service = Service { image, container: &container, checks: Checks::default() };
    let result = service.check(expected).await;
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
    checks: Checks,
}

impl Service<'_> {
    async fn check(&mut self, expected: &ServiceExpectations) -> Result<(), HarnessError> {
        if !self.is_ready(&expected.ready).await? {
            return Ok(());
        }
        for request in &expected.http {
            self.check_http(request).await?;
        }
        match &expected.stop {
            Some(stop) => self.check_stop(stop).await,
            None => Ok(()),
        }
    }

    /// Waits until the service is ready, and returns whether it is.
    async fn is_ready(&mut self, expected: &ReadyConditions) -> Result<bool, HarnessError> {
        let seconds = expected.timeout.unwrap_or(DEFAULT_READY_TIMEOUT);
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let ready = format!("ready within {seconds} s");
        while let Some(unmet) = unmet_condition(self.container, expected).await? {
            if !self.container.state().await?.running {
                self.checks.record("service", ready, "its command ended", false);
                return Ok(false);
            }
            if Instant::now() >= deadline {
                self.checks.record("service", ready, unmet, false);
                return Ok(false);
            }
            sleep(POLL_INTERVAL).await;
        }
        let Some(port) = expected.port else { return Ok(true) };
        let left = deadline.saturating_duration_since(Instant::now()).as_secs().max(1);
        let (accepts, answer) = self.probe("port", port, left, "").await?;
        let expected = format!("accepts connections within {seconds} s");
        self.checks.record(&format!("port {port}"), expected, value::excerpt(&answer), accepts);
        Ok(accepts)
    }

    async fn check_http(&mut self, expected: &HttpExpectations) -> Result<(), HarnessError> {
        let path = expected.path.as_deref().unwrap_or("/");
        let request = format!("GET {path} at port {}", expected.port);
        let (answered, answer) = self.probe("http", expected.port, HTTP_TIMEOUT, path).await?;
        if !answered {
            self.checks.record(&request, "an answer", value::excerpt(&answer), false);
            return Ok(());
        }
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        let expected_status = expected.status.unwrap_or(200);
        let passed = status == Some(expected_status);
        // Without a status line, the whole answer explains more than "nothing".
        let found = status.map_or_else(|| value::excerpt(head), |status| status.to_string());
        self.checks.record(&format!("status of {request}"), expected_status, found, passed);
        if let Some(text) = &expected.body {
            let (subject, passed) = (format!("body of {request}"), text.is_match(body));
            self.checks.record(&subject, text, value::excerpt(body), passed);
        }
        Ok(())
    }

    async fn check_stop(&mut self, expected: &StopExpectations) -> Result<(), HarnessError> {
        let seconds = expected.timeout.unwrap_or(DEFAULT_STOP_TIMEOUT);
        let begin = Instant::now();
        self.container.stop(Duration::from_secs(seconds)).await?;
        let (duration, output) = (begin.elapsed(), self.container.wait().await?);
        let killed = duration >= Duration::from_secs(seconds) && output.signal() == Some(9);
        let found = if killed {
            "it was killed".to_owned()
        } else {
            format!("{:.1} s", duration.as_secs_f32())
        };
        self.checks.record("stop", format!("within {seconds} s"), found, !killed);
        if let Some(code) = expected.exit_code {
            self.checks.expect_equal("exit code after the stop", &code, &output.code);
        }
        Ok(())
    }

    /// Runs the guest's probe. Returns whether it succeeded, and its output.
    async fn probe(
        &self,
        kind: &str,
        port: u16,
        seconds: u64,
        path: &str,
    ) -> Result<(bool, String), HarnessError> {
        let address = self.container.address().await?;
        let arguments = [PROBE, kind, &address, &port.to_string(), &seconds.to_string(), path];
        let limit = Duration::from_secs(seconds + PROBE_GRACE);
        let output = self.image.daemon().guest_run("/usr/bin/perl", &arguments, limit).await?;
        Ok(if output.success() { (true, output.stdout) } else { (false, output.stderr) })
    }
}

/// Returns a description of the first condition about logs and health that is not met yet.
async fn unmet_condition(
    container: &Container,
    expected: &ReadyConditions,
) -> Result<Option<String>, HarnessError> {
    if let Some(text) = &expected.log {
        let (stdout, stderr) = container.logs().await?;
        if !stdout.contains(text) && !stderr.contains(text) {
            let logs = value::excerpt(&(stdout + &stderr));
            return Ok(Some(format!("a log without {}: {logs}", value::quote(text))));
        }
    }
    if expected.healthy == Some(true) {
        match container.state().await?.health.as_deref() {
            Some("healthy") => {}
            Some(health) => return Ok(Some(format!("health status {}", value::quote(health)))),
            None => return Ok(Some("an image without a health check".to_owned())),
        }
    }
    Ok(None)
}
