//! Reports runtime test cases as they end.

use std::time::{Duration, Instant};

use super::companions::Companions;
use super::output::Output;
use super::rejection::rejection;
use super::{Findings, RuntimeChecks};
use crate::check::verdict::TestCase;
use crate::errors::chain;

impl RuntimeChecks<'_, '_> {
    pub(super) fn skip(&mut self, name: String, reason: &str) {
        let case = TestCase::skipped(self.image.reference(), name, reason);
        self.report(case.on_engine(self.engine, Duration::ZERO));
    }

    pub(super) fn error(&mut self, name: String, problem: String, begin: Instant) {
        let case = TestCase::error(self.image.reference(), name, problem);
        self.report(case.on_engine(self.engine, begin.elapsed()));
    }

    /// Reports the test case `name`, and returns the ID of its container, if it had one.
    pub(super) fn finish(
        &mut self,
        name: String,
        findings: Findings,
        begin: Instant,
    ) -> Option<String> {
        self.finish_after(name, findings, begin.elapsed(), Vec::new())
    }

    /// Like [`finish`](Self::finish), for a test case beside `companions` that took `duration`: its
    /// hints name those that have ended.
    pub(super) async fn finish_beside(
        &mut self,
        companions: &Companions,
        name: String,
        findings: Findings,
        duration: Duration,
    ) -> Option<String> {
        let failed = findings.as_ref().map_or(true, |(checks, _)| !checks.mismatches().is_empty());
        let mut hints = Vec::new();
        for (companion, state) in companions.ended(self.image.daemon()).await {
            let is_new = self.ended.insert(companion.name.clone());
            if failed {
                hints.push(companion.describe_end_and_output(&state).await);
            } else if is_new {
                hints.push(companion.describe_end(&state));
            }
        }
        self.finish_after(name, findings, duration, hints)
    }

    fn finish_after(
        &mut self,
        name: String,
        findings: Findings,
        duration: Duration,
        hints: Vec<String>,
    ) -> Option<String> {
        let (image, mut id) = (self.image.reference(), None);
        let mut case = match findings {
            Ok((checks, Output { stdout, stderr, container })) => {
                id = container;
                TestCase { output: stdout, stderr, ..TestCase::finished(image, name, checks) }
            }
            Err(error) => match rejection(self.engine, &error) {
                Some(checks) => TestCase::finished(image, name, checks),
                None => TestCase::error(image, name, chain(&error)),
            },
        };
        case.hints.extend(hints);
        self.report(case.on_engine(self.engine, duration));
        id
    }

    fn report(&mut self, case: TestCase) {
        match &mut self.held {
            Some(held) => held.push(case),
            None => (self.report)(case),
        }
    }
}
