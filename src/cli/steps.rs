//! The steps of recipes: prints when they begin and what they print.

use std::io::Write;

use super::args::thread_count;
use super::output::only_streams;
use super::streams::{is_quiet, messages};
use crate::build::{PlanOptions, StepSettings};
use crate::steps::StepEvent;
use crate::text;

/// How steps run.
pub(super) fn settings() -> StepSettings {
    let settings = StepSettings::default();
    #[cfg(feature = "vm")]
    let settings = crate::harness::VmSteps::settings(settings);
    // Without an observer, errors have the last lines of a step.
    if is_quiet() { settings } else { settings.observed_by(print) }
}

/// How recipes are planned by commands that write no images.
pub(super) fn plan_options() -> PlanOptions {
    let (outputs, threads) = (only_streams(), thread_count(None));
    PlanOptions { outputs, threads, steps: settings(), ..PlanOptions::default() }
}

/// Prints an event. If standard error cannot be written, the step goes on.
fn print(event: StepEvent<'_>) {
    let _ = match event {
        StepEvent::Recipe(path) => writeln!(messages(), "steps of {path}"),
        StepEvent::Begin { number, count, title, cached } => {
            let cached = if cached { " (cached)" } else { "" };
            writeln!(messages(), "step {number}/{count}{cached}: {title}")
        }
        StepEvent::Status(status) => writeln!(messages(), "  ({})", text::escape(status)),
        StepEvent::Output(line) => writeln!(messages(), "  {}", text::lines(line)),
    };
}
