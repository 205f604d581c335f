//! Services: started, waited for, probed from outside their container, stopped.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::expectations::{
    HttpExpectations, ReadyConditions, ServiceExpectations, StopExpectations,
};
use super::value::excerpt;
use super::verdict::Checks;
use crate::engine::Container;
use crate::harness::{HarnessError, LoadedImage};

/// How long a service may take to be up where nothing is said, in seconds.
const UP: u64 = 60;
/// How long it may take to stop where nothing is said, in seconds.
const STOP: u64 = 10;
/// How often it is looked at.
const PAUSE: Duration = Duration::from_millis(200);
/// The guest's program that probes.
const PROBE: &str = "/usr/lib/seatrial/probe";

/// Starts the service, holds what is expected against it, and removes it.
pub(super) async fn hold(
    image: &LoadedImage<'_>,
    expected: &ServiceExpectations,
) -> Result<(Checks, String), HarnessError> {
    let container = image.start(&expected.container.options(true)).await?;
    let mut checks = Checks::default();
    let held = held(image, &container, expected, &mut checks).await;
    let logs = container.logs().await.map(|(stdout, stderr)| stdout + &stderr).unwrap_or_default();
    container.remove().await?;
    held?;
    Ok((checks, logs))
}

async fn held(
    image: &LoadedImage<'_>,
    container: &Container,
    expected: &ServiceExpectations,
    checks: &mut Checks,
) -> Result<(), HarnessError> {
    if !up(image, container, &expected.ready, checks).await? {
        return Ok(());
    }
    for request in &expected.http {
        http(image, container, request, checks).await?;
    }
    match &expected.stop {
        Some(stop) => stopped(container, stop, checks).await,
        None => Ok(()),
    }
}

/// Waits until it is up, and says whether it is.
async fn up(
    image: &LoadedImage<'_>,
    container: &Container,
    expected: &ReadyConditions,
    checks: &mut Checks,
) -> Result<bool, HarnessError> {
    let seconds = expected.timeout.unwrap_or(UP);
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let within = format!("within {seconds} s");
    loop {
        let last = match not_yet(container, expected).await? {
            None => break,
            Some(last) => last,
        };
        if !container.state().await?.running {
            checks.record("the service", format!("it runs, and is up {within}"), "it ended", false);
            return Ok(false);
        }
        if Instant::now() >= deadline {
            checks.record("the service", format!("it is up {within}"), last, false);
            return Ok(false);
        }
        sleep(PAUSE).await;
    }
    if let Some(port) = expected.port {
        let left = deadline.saturating_duration_since(Instant::now()).as_secs().max(1);
        let probed = probe(image, container, "port", port, left, "").await?;
        checks.record(
            &format!("port {port}"),
            format!("it accepts {within}"),
            excerpt(&probed.1),
            probed.0,
        );
        return Ok(probed.0);
    }
    Ok(true)
}

/// What is still missing of its log and its health.
async fn not_yet(
    container: &Container,
    expected: &ReadyConditions,
) -> Result<Option<String>, HarnessError> {
    if let Some(text) = &expected.log {
        let (stdout, stderr) = container.logs().await?;
        if !stdout.contains(text) && !stderr.contains(text) {
            return Ok(Some(format!("no {text:?} in its log: {}", excerpt(&(stdout + &stderr)))));
        }
    }
    if expected.healthy == Some(true) {
        let health = container.state().await?.health.unwrap_or("it has no healthcheck".to_owned());
        if health != "healthy" {
            return Ok(Some(health));
        }
    }
    Ok(None)
}

async fn http(
    image: &LoadedImage<'_>,
    container: &Container,
    expected: &HttpExpectations,
    checks: &mut Checks,
) -> Result<(), HarnessError> {
    let path = expected.path.as_deref().unwrap_or("/");
    let what = format!("GET {path} at port {}", expected.port);
    let (answered, answer) = probe(image, container, "http", expected.port, 20, path).await?;
    if !answered {
        checks.record(&what, "an answer", excerpt(&answer), false);
        return Ok(());
    }
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
    let wanted = expected.status.unwrap_or(200);
    checks.record(&format!("status of {what}"), wanted, excerpt(head), status == Some(wanted));
    if let Some(text) = &expected.body {
        checks.record(&format!("body of {what}"), text, excerpt(body), text.is_match(body));
    }
    Ok(())
}

/// Whether the probe succeeded, and what it said.
async fn probe(
    image: &LoadedImage<'_>,
    container: &Container,
    what: &str,
    port: u16,
    seconds: u64,
    path: &str,
) -> Result<(bool, String), HarnessError> {
    let address = container.address().await?;
    let arguments = [PROBE, what, &address, &port.to_string(), &seconds.to_string(), path];
    let limit = Duration::from_secs(seconds + 10);
    let output = image.daemon().guest_run("/usr/bin/perl", &arguments, limit).await?;
    Ok((output.success(), if output.success() { output.stdout } else { output.stderr }))
}

async fn stopped(
    container: &Container,
    expected: &StopExpectations,
    checks: &mut Checks,
) -> Result<(), HarnessError> {
    let seconds = expected.timeout.unwrap_or(STOP);
    let begin = Instant::now();
    container.stop(Duration::from_secs(seconds)).await?;
    let (took, output) = (begin.elapsed(), container.wait().await?);
    let killed = took >= Duration::from_secs(seconds) && output.signal() == Some(9);
    let found = if killed {
        "it had to be killed".to_owned()
    } else {
        format!("{:.1} s", took.as_secs_f32())
    };
    checks.record("its stop", format!("within {seconds} s"), found, !killed);
    if let Some(code) = expected.exit_code {
        checks.expect_equal("exit code after its stop", &code, &output.code);
    }
    Ok(())
}
