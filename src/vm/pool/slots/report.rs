//! Reports that a VM has to wait for a slot.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The time after which a process reports again that it waits: the VMs of a command wait one after
/// the other.
const REPEAT_AFTER: Duration = Duration::from_secs(10 * 60);
/// The time of the last report.
static REPORTED: Mutex<Option<Instant>> = Mutex::new(None);
/// The function of [`report_waiting`].
static REPORT: OnceLock<fn(&str)> = OnceLock::new();

/// Sets the function that is called when a VM has to wait for a slot, with a message that names
/// those who use them. The first call counts: the command line sets it before the harness does.
pub(crate) fn report_waiting(report: fn(&str)) {
    let _ = REPORT.set(report);
}

/// Reports that a VM has to wait, unless that was reported a short time ago.
pub(super) fn report(message: &str) {
    match REPORT.get() {
        Some(report) if is_new(&REPORTED) => report(message),
        _ => {}
    }
}

/// Whether nothing was reported for a while. If so, notes that something is now.
fn is_new(reported: &Mutex<Option<Instant>>) -> bool {
    let mut reported = reported.lock().unwrap_or_else(PoisonError::into_inner);
    let is_new = reported.is_none_or(|since| since.elapsed() >= REPEAT_AFTER);
    if is_new {
        *reported = Some(Instant::now());
    }
    is_new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_a_process_waits_is_reported_once_in_a_while() {
        let reported = Mutex::new(None);
        assert!(is_new(&reported) && !is_new(&reported));
        if let Some(earlier) = Instant::now().checked_sub(REPEAT_AFTER) {
            *reported.lock().unwrap() = Some(earlier);
            assert!(is_new(&reported));
        }
    }
}
