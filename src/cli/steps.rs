//! The steps of recipes: prints when they begin and what they print.

use std::io::Write;

use super::streams::{is_quiet, messages};
use crate::build::Plan;
use crate::steps::StepEvent;
use crate::text;

/// Prepares the steps of `plan`.
pub(super) fn prepare(mut plan: Plan) -> Plan {
    // Without an observer, errors have the last lines of a step.
    if !is_quiet() {
        plan.observe_steps(print);
    }
    #[cfg(feature = "vm")]
    let plan = crate::harness::VmSteps::for_plan(plan);
    plan
}

/// Prints an event. If standard error cannot be written, the step goes on.
fn print(event: StepEvent<'_>) {
    let _ = match event {
        StepEvent::Begin { number, count, title, cached } => {
            let cached = if cached { " (cached)" } else { "" };
            writeln!(messages(), "step {number}/{count}{cached}: {title}")
        }
        StepEvent::Status(status) => writeln!(messages(), "  ({})", text::escape(status)),
        StepEvent::Output(line) => writeln!(messages(), "  {}", text::lines(line)),
    };
}
