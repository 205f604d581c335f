//! Lines for a terminal of 80 columns.

use crate::check::verdict::{EngineRun, Outcome, TestCase};

/// Where the cases that follow come from.
pub fn part(image: &str, stage: Option<&EngineRun>) -> String {
    match stage {
        None => format!("{image}\n"),
        Some(stage) => {
            let ready = stage.timeline.last().map_or(0.0, |event| event.at.as_secs_f64());
            let EngineRun { engine, version, load_seconds, .. } = stage;
            let note = stage
                .fallback
                .as_ref()
                .map(|why| format!("  booted, because: {why}\n"))
                .unwrap_or_default();
            format!(
                "{engine} ({version}), ready after {ready:.1} s, loaded in {load_seconds:.1} s\n{note}"
            )
        }
    }
}

/// A case, in one line where it passed.
pub fn case(case: &TestCase) -> String {
    let word = match case.outcome {
        Outcome::Passed => "ok",
        Outcome::Failed { .. } => "FAIL",
        Outcome::Error { .. } => "ERROR",
        Outcome::Skipped { .. } => "skip",
    };
    // Where no engine could be had there is no heading that names it.
    let name = match (&case.outcome, &case.engine) {
        (Outcome::Error { .. }, Some(engine)) => format!("{} ({engine})", case.name),
        _ => case.name.clone(),
    };
    let took = if case.seconds >= 0.1 { format!("{:.1} s", case.seconds) } else { String::new() };
    let mut text = format!("  {word:<6}{name:<60}{took:>8}").trim_end().to_owned() + "\n";
    for line in super::lines(case) {
        text.push_str(&format!("          {line}\n"));
    }
    text
}
