//! Times in the life of a service.

use std::time::Duration;

/// Bounds of the time for which a ready service must keep running. In between, it is the time that
/// the engine needed to start the container, which grows with the load of the host.
pub(super) const SETTLE_MIN: Duration = Duration::from_millis(500);
pub(super) const SETTLE_MAX: Duration = Duration::from_secs(5);
/// The time in which the log of a service must become as expected.
pub(super) const LOG_TIMEOUT: Duration = Duration::from_secs(10);
/// The time in which files, accounts and packages must become as expected.
pub(super) const FILES_TIMEOUT: Duration = Duration::from_secs(10);
