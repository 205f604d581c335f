//! Clocks by which timeouts are measured.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

/// The shortest sleep until a timeout is looked at again.
const SLEEP_MIN: Duration = Duration::from_millis(5);

/// A clock that shows the time since some moment. It may be slower than the host's.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}

impl Clock {
    /// The clock whose time `now` returns.
    pub(crate) fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The host's clock.
    pub(crate) fn host() -> Self {
        let start = std::time::Instant::now();
        Self::new(move || start.elapsed())
    }

    /// Returns the clock's time.
    pub(crate) fn now(&self) -> Duration {
        (self.0)()
    }

    /// Awaits `operation`, or returns `None` after `limit` on this clock.
    pub(crate) async fn timeout<T>(
        &self,
        limit: Duration,
        operation: impl Future<Output = T>,
    ) -> Option<T> {
        let deadline = self.now() + limit;
        let expired = async {
            loop {
                let left = deadline.saturating_sub(self.now());
                if left.is_zero() {
                    return;
                }
                sleep(left.max(SLEEP_MIN)).await;
            }
        };
        tokio::select! {
            biased;
            result = operation => Some(result),
            () = expired => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_timeout_takes_longer_by_a_slow_clock() {
        let start = Instant::now();
        let slow = Clock::new(move || start.elapsed() / 4);
        let limit = Duration::from_millis(10);
        assert_eq!(slow.timeout(limit, std::future::pending::<()>()).await, None);
        assert!(start.elapsed() >= 4 * limit);
        assert_eq!(slow.timeout(limit, async { 7 }).await, Some(7));
    }
}
