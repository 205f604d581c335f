//! The clock of a VM, by which timeouts are measured: it stands still while the VM waits for a CPU
//! of the host. So a timeout means the same on a quiet host and on a busy one.
//!
//! Linux counts for each thread how long it could have run but did not (sched-stats.rst,
//! `/proc/PID/schedstat`).

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::Clock;

/// The clock is at most this many times slower than the host's, so that every timeout ends.
const SLOWDOWN_MAX: u32 = 10;

/// Returns the clock of the VM whose QEMU has this process ID.
pub(super) fn of_process(pid: u32) -> Clock {
    let state = Mutex::new(State::new());
    Clock::new(move || {
        let waits = waiting_times(pid);
        state.lock().unwrap_or_else(PoisonError::into_inner).now(Instant::now(), waits)
    })
}

/// The time that each thread has waited for a CPU, by the thread's ID.
type WaitingTimes = BTreeMap<u32, Duration>;

fn waiting_times(pid: u32) -> WaitingTimes {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let time = |thread: fs::DirEntry| {
        let id = thread.file_name().to_str()?.parse().ok()?;
        let statistics = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let nanoseconds = statistics.split_whitespace().nth(1)?.parse().ok()?;
        Some((id, Duration::from_nanos(nanoseconds)))
    };
    threads.filter_map(time).collect()
}

struct State {
    start: Instant,
    last: Instant,
    waits: WaitingTimes,
    /// The time for which the clock stood still.
    stood_still: Duration,
}

impl State {
    fn new() -> Self {
        let start = Instant::now();
        let (waits, stood_still) = (WaitingTimes::new(), Duration::ZERO);
        Self { start, last: start, waits, stood_still }
    }

    /// Returns the clock's time. In each interval between two calls, it stood still as long as the
    /// thread that waited longest.
    fn now(&mut self, now: Instant, waits: WaitingTimes) -> Duration {
        let waited = waits.iter().map(|(thread, wait)| {
            wait.saturating_sub(self.waits.get(thread).copied().unwrap_or_default())
        });
        let interval = now.saturating_duration_since(self.last);
        self.stood_still += waited.max().unwrap_or_default().min(interval);
        (self.last, self.waits) = (now, waits);
        let elapsed = now.saturating_duration_since(self.start);
        elapsed.saturating_sub(self.stood_still).max(elapsed / SLOWDOWN_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(times: &[(u32, u64)]) -> WaitingTimes {
        times.iter().map(|(thread, wait)| (*thread, Duration::from_secs(*wait))).collect()
    }

    #[test]
    fn the_clock_stands_still_while_a_thread_waits_but_not_for_ever() {
        let mut state = State::new();
        let mut now = |seconds, times: &[(u32, u64)]| {
            let at = state.start + Duration::from_secs(seconds);
            state.now(at, waits(times)).as_secs()
        };
        assert_eq!(now(10, &[(1, 0), (2, 0)]), 10);
        assert_eq!(now(20, &[(1, 4), (2, 6)]), 14, "the threads waited at the same time");
        assert_eq!(now(30, &[(1, 4), (2, 6)]), 24, "nothing waited");
        assert_eq!(now(40, &[(2, 9), (3, 2)]), 31, "a thread has ended, another has started");
        assert_eq!(now(1000, &[(3, 900)]), 100);
    }

    #[test]
    fn waiting_times_of_a_process_are_read() {
        assert!(waiting_times(std::process::id()).contains_key(&std::process::id()));
        assert!(waiting_times(u32::MAX).is_empty());
    }
}
