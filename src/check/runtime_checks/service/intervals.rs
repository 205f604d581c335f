//! Times in the life of a service.

use std::time::Duration;

use crate::check::expectations::Timeout;

/// The default timeout of `ready`.
pub(super) const DEFAULT_READY_TIMEOUT: Timeout = Timeout::from_secs(60);
/// The time between two looks at a service.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Bounds of the time for which a ready service must keep running. In between, it is the time that
/// the engine needed to start the container, which grows with the load of the host.
pub(super) const SETTLE_MIN: Duration = Duration::from_millis(500);
pub(super) const SETTLE_MAX: Duration = Duration::from_secs(5);
