//! The test cases of commands: one after the other, or two at a time.
//!
//! Docker starts and removes containers faster if two clients do so at the same time: under
//! emulation on 2 CPUs, 8 commands take 6.2 s instead of 8.3 s. Podman takes 8.4 s in both cases.

use std::time::{Duration, Instant};

use super::companions::Companions;
use super::output::Output;
use super::{Findings, RuntimeChecks, environment, run, run_name};
use crate::check::expectations::{Expectations, RunExpectations};
use crate::harness::LoadedImage;
use crate::text;
use crate::text::errors::chain;

/// The family of engines that start two containers faster at the same time.
const SIDE_BY_SIDE: &str = "docker";

/// Everything that the test cases of commands have in common.
#[derive(Clone, Copy)]
struct Commands<'a, 'd> {
    image: &'a LoadedImage<'d>,
    image_user: Option<&'a str>,
    companions: &'a Companions,
}

/// The result of a test case.
struct Ended {
    result: Result<Findings, Skipped>,
    duration: Duration,
}

/// The beginning of the hint about a command that passed only the second time.
const PASSED_ALONE: &str =
    "it failed while another command ran beside it, and passed when it ran again alone";

/// The reason why a test case was skipped.
type Skipped = &'static str;

impl<'d> RuntimeChecks<'_, 'd> {
    /// Runs the test cases of all commands, and reports them in order.
    pub(super) async fn check_runs(
        &mut self,
        image: &LoadedImage<'d>,
        expected: &Expectations,
        companions: &Companions,
    ) {
        let commands = Commands { image, image_user: self.image_user, companions };
        let family = &image.daemon().vm().family().name;
        let pairs = family == SIDE_BY_SIDE
            && companions.is_empty()
            && !expected.run.iter().any(may_notice_others);
        let mut runs = expected.run.iter();
        while let Some(first) = runs.next() {
            match runs.as_slice().first().filter(|_| pairs) {
                None => {
                    let ended = commands.check(first).await;
                    self.report_run(first, ended, (expected, companions)).await;
                }
                Some(second) => {
                    runs.next();
                    let (one, two) = tokio::join!(commands.check(first), commands.check(second));
                    for (run, ended) in [(first, one), (second, two)] {
                        // The other one may have used memory or time that this one needs.
                        let ended = match ended.failure().filter(|_| ended.engine_remains()) {
                            Some(failure) => commands.check(run).await.after_failure(&failure),
                            None => ended,
                        };
                        self.report_run(run, ended, (expected, companions)).await;
                    }
                }
            }
        }
    }

    async fn report_run(
        &mut self,
        run: &RunExpectations,
        Ended { result, duration }: Ended,
        (expected, companions): (&Expectations, &Companions),
    ) {
        let container = match result {
            Ok(findings) => self.finish_beside(companions, run_name(run), findings, duration).await,
            Err(reason) => {
                self.skip(run_name(run), reason);
                None
            }
        };
        let offers = environment::is_offered_by(run);
        self.check_recorded(container.filter(|_| offers), &expected.env).await;
    }
}

/// Whether a command may notice that another one runs, because its container shares something with
/// others.
fn may_notice_others(run: &RunExpectations) -> bool {
    run.container.privileged || run.container.mounts.iter().any(|mount| mount.writable)
}

impl Commands<'_, '_> {
    /// Runs the test case of a command.
    async fn check(&self, expected: &RunExpectations) -> Ended {
        let begin = Instant::now();
        // On the heap, because several of these large futures exist at once.
        let result = Box::pin(self.result(expected)).await;
        Ended { result, duration: begin.elapsed() }
    }

    async fn result(&self, expected: &RunExpectations) -> Result<Findings, Skipped> {
        let options = expected.container.options(!self.companions.is_empty());
        let options = self.companions.beside(self.image.daemon(), options).await;
        let engine = self.image.daemon().engine();
        if let Some(reason) = engine.unsupported(&options) {
            return Err(reason);
        }
        Ok(match expected.container.restricted_user(self.image_user) {
            Some(checks) => Ok((checks, Output::default())),
            None => run::check(self.image, expected, &options).await,
        })
    }
}

impl Ended {
    /// Says how the command failed before, if it passes now.
    fn after_failure(mut self, failure: &str) -> Self {
        if self.failure().is_none()
            && let Ok(Ok((checks, _))) = &mut self.result
        {
            checks.hint(vec![format!("{PASSED_ALONE}; at first: {failure}")]);
        }
        self
    }

    /// Describes the first failed check, or the error.
    fn failure(&self) -> Option<String> {
        match &self.result {
            Ok(Ok((checks, _))) => checks.mismatches().first().map(|check| {
                let [expected, found] = [&check.expected, &check.found].map(ToString::to_string);
                let (expected, found) = (text::excerpt(&expected), text::ends(&found));
                format!("{}: expected {expected}, found {found}", check.subject)
            }),
            Ok(Err(error)) => Some(chain(error)),
            Err(_) => None,
        }
    }

    /// Whether the engine has neither exited with its VM, nor restarted, nor hung. Otherwise, that
    /// is what the report must show, even if the command would pass now.
    fn engine_remains(&self) -> bool {
        !matches!(&self.result, Ok(Err(error)) if error.is_of_lost_engine())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::check::verdict::Checks;
    use crate::engine::EngineError;
    use crate::harness::HarnessError;

    fn ended(findings: Findings) -> Ended {
        Ended { result: Ok(findings), duration: Duration::ZERO }
    }

    /// A command with the exit code 1, which is the expected one or not.
    fn exited(passes: bool) -> Ended {
        let mut checks = Checks::default();
        checks.record("exit code", "0", "1", passes);
        ended(Ok((checks, Output::default())))
    }

    /// The hints after a command failed and its second run passed, or did not.
    fn hints(passes: bool, failure: &str) -> Vec<String> {
        let ended = exited(passes).after_failure(failure);
        let Ok(Ok((checks, _))) = ended.result else { panic!() };
        checks.into_results().hints
    }

    #[test]
    fn a_command_that_passes_only_the_second_time_says_how_it_failed_at_first() {
        let expected = "it failed while another command ran beside it, and passed when it ran \
                        again alone; at first: exit code: expected 0, found 1";
        let failure = exited(false).failure().unwrap();
        assert_eq!(hints(true, &failure), [expected]);
        assert!(hints(false, &failure).is_empty());
        assert_eq!(exited(true).failure(), None);
        let error = ended(Err(EngineError::NoAddress.into()));
        let expected = "the container has no address on the engine's network";
        assert_eq!(error.failure().as_deref(), Some(expected));
    }

    #[test]
    fn commands_of_privileged_containers_or_with_writable_mounts_do_not_run_beside_others() {
        let notices = |container: &str| {
            let text = format!("[[run]]\nname = \"x\"\ncontainer = {container}\n");
            let expected = Expectations::parse(Path::new("e.toml"), &text).unwrap();
            expected.run.iter().any(may_notice_others)
        };
        assert!(notices("{ privileged = true }"));
        let mount =
            |rest: &str| format!("{{ mounts = [{{ source = \"s\", path = \"/t\"{rest} }}] }}");
        assert!(notices(&mount(", writable = true")));
        assert!(!notices(&mount("")));
        assert!(!notices("{ user = \"7\" }"));
    }

    #[test]
    fn commands_do_not_run_again_after_the_engine_has_restarted() {
        let failure = || HarnessError::from(EngineError::NoAddress);
        assert!(ended(Err(failure())).engine_remains() && exited(false).engine_remains());
        let events = vec!["docker.service was restarted after 2.1 s".to_owned()];
        let restarted = HarnessError::Meanwhile { failure: failure().into(), events };
        assert!(!ended(Err(restarted)).engine_remains());
    }
}
