//! Waits until an engine is ready: one condition after the other, each with a timeout.
//!
//! An existing socket, a port that accepts connections and an active unit prove nothing: each has
//! been observed with a daemon that never answered. So conditions require answers, and each probe
//! uses a new connection with a timeout, because a connection that was made too early may never be
//! answered.

use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{Clock, Timeline};

/// The result of a probe: the time of the guest's monotonic clock, if the probe asked for it, or
/// the reason why the condition is not met.
pub type ProbeFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Duration>, String>> + Send + 'a>>;

/// A condition of readiness.
pub struct Condition<'a> {
    /// The condition's name, which is also the event of the timeline.
    pub name: &'static str,
    /// The timeout, counted from the moment at which the previous condition was met.
    pub limit: Duration,
    /// Checks whether the condition is met.
    pub probe: Box<dyn Fn() -> ProbeFuture<'a> + Send + Sync + 'a>,
}

impl std::fmt::Debug for Condition<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Condition({:?}, {:?})", self.name, self.limit)
    }
}

/// An engine that did not become ready.
#[derive(Debug, thiserror::Error)]
#[error(
    "not ready after {:.1} s: \"{condition}\" was not met within {:.1} s; last result: {last}\n\
     conditions that were met (host clock, guest clock):\n{timeline}",
    waited.as_secs_f32(), limit.as_secs_f32()
)]
pub struct NotReady {
    /// The condition that was not met.
    pub condition: &'static str,
    /// Its timeout.
    pub limit: Duration,
    /// The time that was waited for all conditions.
    pub waited: Duration,
    /// The result of its last probe.
    pub last: String,
    /// The conditions that were met, with their times.
    pub timeline: Timeline,
}

/// The timeout of a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// The first pause between two probes. Each further pause is 1.5 times as long, up to
/// [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(40);

/// Waits until all `conditions` are met, in order, and adds each to `timeline`. `limit` is the
/// timeout for all of them together. All timeouts are measured by `clock`.
///
/// # Errors
/// If the timeout of a condition, or that of all, expires.
pub async fn wait(
    conditions: &[Condition<'_>],
    timeline: &mut Timeline,
    limit: Duration,
    clock: &Clock,
) -> Result<(), NotReady> {
    let (start, deadline) = (Instant::now(), clock.now() + limit);
    for Condition { name, limit: own_limit, probe } in conditions {
        let limit = (*own_limit).min(deadline.saturating_sub(clock.now()));
        let (deadline, mut pause) = (clock.now() + limit, PAUSE_FIRST);
        loop {
            let last = match clock.timeout(PROBE_TIMEOUT, probe()).await {
                Some(Ok(guest)) => {
                    timeline.add(*name, guest);
                    break;
                }
                Some(Err(problem)) => problem,
                None => format!("no answer within {} s", PROBE_TIMEOUT.as_secs()),
            };
            if clock.now() >= deadline {
                let (waited, timeline) = (start.elapsed(), timeline.clone());
                return Err(NotReady { condition: name, limit, waited, last, timeline });
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSE_MAX);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(
        name: &'static str,
        limit: u64,
        answer: Result<(), &'static str>,
    ) -> Condition<'static> {
        let probe = move || -> ProbeFuture<'static> {
            Box::pin(
                async move { answer.map(|()| Some(Duration::from_secs(3))).map_err(str::to_owned) },
            )
        };
        Condition { name, limit: Duration::from_millis(limit), probe: Box::new(probe) }
    }

    #[tokio::test]
    async fn the_error_has_the_unmet_condition_its_last_result_and_the_met_conditions() {
        let conditions = [
            condition("a", 1000, Ok(())),
            condition("b", 20, Err("no such file")),
            condition("c", 20, Ok(())),
        ];
        let mut timeline = Timeline::new(Instant::now());
        let error = wait(&conditions, &mut timeline, Duration::from_secs(9), &Clock::host())
            .await
            .unwrap_err();
        assert_eq!((error.condition, error.last.as_str()), ("b", "no such file"));
        let met: Vec<_> = error.timeline.events().iter().map(|event| event.what.as_str()).collect();
        assert_eq!(met, ["a"]);
    }

    #[tokio::test]
    async fn a_probe_without_an_answer_times_out_and_so_does_the_wait_as_a_whole() {
        let probe = || -> ProbeFuture<'static> { Box::pin(std::future::pending()) };
        let hangs =
            Condition { name: "hangs", limit: Duration::from_secs(900), probe: Box::new(probe) };
        let mut timeline = Timeline::new(Instant::now());
        let error = wait(&[hangs], &mut timeline, Duration::from_millis(10), &Clock::host())
            .await
            .unwrap_err();
        assert_eq!(error.last, "no answer within 2 s");
    }
}
