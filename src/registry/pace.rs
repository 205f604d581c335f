//! The speed at which a registry sends: one that sends hardly anything would never end.

use std::time::Duration;

/// The fewest bytes in a second that are not silence.
const BYTES_PER_SECOND: u64 = 1000;

/// The bytes that arrived in the current period. Only waiting for bytes takes time here, not what
/// is done with them.
#[derive(Debug)]
pub(super) struct Pace {
    period: Duration,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Begins with the first period; `period` is how long a registry may stay silent.
    pub(super) fn begin(period: Duration) -> Self {
        Self { period, waited: Duration::ZERO, bytes: 0 }
    }

    /// The rest of the current period.
    pub(super) fn rest(&self) -> Duration {
        self.period.saturating_sub(self.waited)
    }

    /// Adds `bytes` that arrived after waiting for as long as `waited`, and begins the next period
    /// if the current one is over.
    ///
    /// # Errors
    /// The number of bytes in a period, if they were too few.
    pub(super) fn add(&mut self, bytes: usize, waited: Duration) -> Result<(), u64> {
        self.bytes += bytes as u64;
        self.waited += waited;
        if self.waited < self.period {
            return Ok(());
        }
        if self.bytes < BYTES_PER_SECOND * self.period.as_secs().max(1) {
            return Err(self.bytes);
        }
        *self = Self::begin(self.period);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_needs_a_kilobyte_a_second() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::begin(10 * second);
        assert_eq!(pace.add(9_999, 9 * second), Ok(()));
        assert_eq!(pace.rest(), second);
        assert_eq!(pace.add(1, second), Ok(()));
        assert_eq!(pace.rest(), 10 * second, "the next period");
        assert_eq!(pace.add(5, 9 * second), Ok(()));
        assert_eq!(pace.add(7, second), Err(12));
    }
}
