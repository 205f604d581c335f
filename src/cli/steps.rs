//! The steps of recipes: prints when they begin and what they print.

use std::io::Write;

use super::streams::{is_quiet, messages};
use crate::build::StepSettings;
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
