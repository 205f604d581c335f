//! Commands that change an image's files before a test case runs.

use super::hints;
use super::output::{DEFAULT_TIMEOUT, found_exit_code};
use super::rejection::record_failed_start;
use crate::check::expectations::{RunExpectations, SetupCommand, Timeout};
use crate::check::verdict::Checks;
use crate::engine::run::OUTPUT_MAX;
use crate::engine::{EngineError, RunOptions};
use crate::harness::{HarnessError, LoadedImage, describe_still_running};
use crate::text::{self, Description, value};

/// A command, with its time limit.
pub(super) struct Step {
    options: RunOptions,
    timeout: Timeout,
    may_fail: bool,
}

/// The result of commands: an image with the files that they have left, or failed checks.
pub(super) type Changed<'d> = Result<LoadedImage<'d>, Checks>;

impl From<&SetupCommand> for Step {
    fn from(command: &SetupCommand) -> Self {
        let options = command.container.options(false);
        Self { options, timeout: command.timeout.unwrap_or(DEFAULT_TIMEOUT), may_fail: false }
    }
}

impl Step {
    /// How the container of the command is started.
    pub(super) fn options(&self) -> &RunOptions {
        &self.options
    }

    /// Describes the command in a check: its number, which is one more than `index`, and its words.
    pub(super) fn subject(&self, index: usize) -> String {
        let RunOptions { entrypoint, command, .. } = &self.options;
        let words: Vec<&String> = entrypoint.iter().chain(command).flatten().collect();
        let shown = match words.as_slice() {
            [] => "the image's own".to_owned(),
            words => value::format(words),
        };
        format!("setup command {}, {}", index + 1, text::excerpt(&shown))
    }
}

/// Returns the commands that run before the command of `run`, in containers like that one.
pub(super) fn steps_of(run: &RunExpectations, options: &RunOptions) -> Vec<Step> {
    let step = |words: &Vec<String>| Step {
        options: RunOptions {
            entrypoint: Some(words.iter().take(1).cloned().collect()),
            command: Some(words.iter().skip(1).cloned().collect()),
            stdin: None,
            ..options.clone()
        },
        timeout: run.timeout.unwrap_or(DEFAULT_TIMEOUT),
        may_fail: run.setup_may_fail,
    };
    run.setup.iter().map(step).collect()
}

/// Runs `steps` one after the other, each with the files that the one before has left. The first
/// one that fails is a failed check.
pub(super) async fn apply<'d>(
    image: &LoadedImage<'d>,
    steps: &[Step],
) -> Result<Option<Changed<'d>>, HarnessError> {
    let mut changed: Option<LoadedImage<'d>> = None;
    for (number, step) in steps.iter().enumerate() {
        let image = changed.as_ref().unwrap_or(image);
        let limit = step.timeout.duration();
        let failed = |expected: String, found: Description| {
            let mut checks = Checks::default();
            checks.record(&step.subject(number), expected, found, false);
            checks
        };
        match image.run_and_commit(&step.options, limit).await {
            Ok((output, _)) if output.code != 0 && !step.may_fail => {
                let mut checks = failed("exit code 0".to_owned(), found_exit_code(&output, true));
                let limit = step.options.settings.memory.map(|bytes| bytes >> 20);
                let of_memory = output.out_of_memory.map(|whose| hints::of_memory(whose, limit));
                checks.hint(of_memory.into_iter().collect());
                return Ok(Some(Err(checks)));
            }
            Ok((_, next)) => changed = Some(next),
            Err(HarnessError::Engine(EngineError::StillRunning { stdout, stderr, .. })) => {
                let found = describe_still_running(&stdout, &stderr);
                return Ok(Some(Err(failed(format!("at most {}", step.timeout), found))));
            }
            Err(HarnessError::Engine(EngineError::Start(problem))) => {
                let mut checks = Checks::default();
                record_failed_start(&step.subject(number), &problem, &mut checks);
                return Ok(Some(Err(checks)));
            }
            Err(HarnessError::Engine(EngineError::OutputTooLarge)) => {
                let expected = format!("at most {} MiB of output", OUTPUT_MAX >> 20);
                return Ok(Some(Err(failed(expected, "more".into()))));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(changed.map(Ok))
}
