//! Reports runtime test cases as they end.

use std::time::{Duration, Instant};

use super::companions::Companions;
use super::output::Output;
use super::rejection::rejection;
use super::{Findings, RuntimeChecks};
use crate::check::verdict::TestCase;
use crate::harness::{HarnessError, exits};
use crate::text::errors::chain;

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
    /// hints name those that have ended, unless the engine is lost.
    pub(super) async fn finish_beside(
        &mut self,
        companions: &Companions,
        name: String,
        findings: Findings,
        duration: Duration,
    ) -> Option<String> {
        let failed = findings.as_ref().map_or(true, |(checks, _)| !checks.mismatches().is_empty());
        let is_lost = findings.as_ref().is_err_and(HarnessError::is_of_lost_engine);
        let mut hints = Vec::new();
        if !is_lost && !companions.is_empty() {
            let daemon = self.image.daemon();
            let described = Box::pin(async { Ok(self.ends_of(companions, failed).await) });
            // An engine that is lost meanwhile is reported by the next test case.
            hints = daemon.watched_to_end(described).await.unwrap_or_default();
        }
        self.finish_after(name, findings, duration, hints)
    }

    /// Describes the end of those `companions` that have ended: with their output if a test case
    /// has `failed`, otherwise once. Ended containers are not asked again for their states.
    async fn ends_of(&mut self, companions: &Companions, failed: bool) -> Vec<String> {
        let mut ends = Vec::new();
        for companion in companions.iter() {
            let known = self.known_ends.get(&companion.name).cloned();
            let is_new = known.is_none();
            let state = match known {
                Some(state) => state,
                // If the engine does not answer, the test case reports that.
                None => match exits::state(self.image.daemon(), &companion.container).await {
                    Ok(state) if !state.running => state,
                    _ => continue,
                },
            };
            companion.note_end();
            if failed {
                ends.push(companion.describe_end_and_output(&state).await);
            } else if is_new {
                ends.push(companion.describe_end(&state));
            }
            self.known_ends.insert(companion.name.clone(), state);
        }
        ends
    }

    pub(super) fn finish_after(
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

    pub(super) fn report(&mut self, case: TestCase) {
        match &mut self.held {
            Some(held) => held.push(case),
            None => (self.report)(case),
        }
    }
}
