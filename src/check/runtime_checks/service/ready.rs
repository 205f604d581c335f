//! Waits until a service is ready.

use super::Service;
use crate::check::expectations::ReadyConditions;
use crate::harness::{DEFAULT_READY_TIMEOUT, HarnessError, Readiness, Starting, describe_end};

impl Service<'_> {
    /// Waits until the service is ready, and returns whether it is.
    pub(super) async fn becomes_ready(
        &mut self,
        expected: &ReadyConditions,
    ) -> Result<bool, HarnessError> {
        let line_ends = self.line_ends();
        let Self { image, container, end, .. } = self;
        let starting = Starting { daemon: image.daemon(), container, line_ends, end };
        let readiness = starting.wait(expected, self.expected.exit_code.is_some()).await?;
        let (found, ready) = match readiness {
            Readiness::Ready => ("ready".into(), true),
            Readiness::Unmet(unmet) => (unmet, false),
            Readiness::Ended(state) => (describe_end(container, &state).await.into(), false),
        };
        let timeout = expected.timeout.unwrap_or(DEFAULT_READY_TIMEOUT);
        self.checks.record("service", format!("ready within {timeout}"), found, ready);
        Ok(ready)
    }
}
