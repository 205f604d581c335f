//! Waits until an engine is usable, one condition after the other, and says which one was not met.
//!
//! A socket that exists, a port that accepts and a unit that is active prove nothing: each has been seen with
//! a daemon that never answered. Only answers count, and each try is a new connection with a limit of its
//! own, because a connection made too early may never be answered.

use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::Timeline;

/// A try to see whether a condition is met. It gives what the guest's monotonic clock says, where it asked for
/// that, or says what is there instead.
pub type Try<'a> = Pin<Box<dyn Future<Output = Result<Option<Duration>, String>> + Send + 'a>>;

/// Something that must be true of a machine.
pub struct Condition<'a> {
    /// What is noted when it is met.
    pub name: &'static str,
    /// How long it may take once the one before it is met.
    pub limit: Duration,
    /// Looks whether it is met.
    pub attempt: Box<dyn Fn() -> Try<'a> + Send + Sync + 'a>,
}

impl std::fmt::Debug for Condition<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Condition({:?}, {:?})", self.name, self.limit)
    }
}

/// An engine that did not get ready.
#[derive(Debug, thiserror::Error)]
#[error(
    "not ready after {:.1} s: {condition:?} was not met within {:.1} s; the last try said: {last}\n\
     what was met (host clock, guest clock):\n{timeline}",
    waited.as_secs_f32(), limit.as_secs_f32()
)]
pub struct NotReady {
    /// What was not met.
    pub condition: &'static str,
    /// How long it had.
    pub limit: Duration,
    /// How long was waited in all.
    pub waited: Duration,
    /// What the last try said.
    pub last: String,
    /// What was met, and when.
    pub timeline: Timeline,
}

/// How long one try may take.
const TRY: Duration = Duration::from_secs(2);
/// The shortest and the longest pause between tries; each is half as long again as the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(40));

/// Waits for `limit` at most until `conditions` are met, in order, and notes each in `timeline`.
///
/// # Errors
/// At the first deadline that passes: that of a condition, or the one over all.
pub async fn wait(
    conditions: &[Condition<'_>],
    timeline: &mut Timeline,
    limit: Duration,
) -> Result<(), NotReady> {
    let start = Instant::now();
    for Condition { name, limit: own, attempt } in conditions {
        let limit = (*own).min((start + limit).saturating_duration_since(Instant::now()));
        let (began, mut pause) = (Instant::now(), PAUSES.0);
        loop {
            let last = match timeout(TRY, attempt()).await {
                Ok(Ok(guest)) => {
                    timeline.note(*name, guest);
                    break;
                }
                Ok(Err(problem)) => problem,
                Err(_) => format!("no answer within {} s", TRY.as_secs()),
            };
            if began.elapsed() >= limit {
                let (waited, timeline) = (start.elapsed(), timeline.clone());
                return Err(NotReady { condition: name, limit, waited, last, timeline });
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSES.1);
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
        let attempt = move || -> Try<'static> {
            Box::pin(
                async move { answer.map(|()| Some(Duration::from_secs(3))).map_err(str::to_owned) },
            )
        };
        Condition { name, limit: Duration::from_millis(limit), attempt: Box::new(attempt) }
    }

    #[tokio::test]
    async fn what_was_not_met_is_named_with_its_last_answer_and_all_that_was() {
        let conditions = [
            condition("a", 1000, Ok(())),
            condition("b", 20, Err("no such file")),
            condition("c", 20, Ok(())),
        ];
        let mut timeline = Timeline::since(Instant::now());
        let error = wait(&conditions, &mut timeline, Duration::from_secs(9)).await.unwrap_err();
        assert_eq!((error.condition, error.last.as_str()), ("b", "no such file"));
        let met: Vec<_> = error.timeline.events().iter().map(|event| event.what.as_str()).collect();
        assert_eq!(met, ["a"]);
    }

    #[tokio::test]
    async fn a_try_that_is_never_answered_ends_and_the_deadline_over_all_holds() {
        let attempt = || -> Try<'static> { Box::pin(std::future::pending()) };
        let hangs = Condition {
            name: "hangs",
            limit: Duration::from_secs(900),
            attempt: Box::new(attempt),
        };
        let mut timeline = Timeline::since(Instant::now());
        let error = wait(&[hangs], &mut timeline, Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(error.last, "no answer within 2 s");
    }
}
