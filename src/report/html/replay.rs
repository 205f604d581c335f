//! The page of replays: a table of runs for each scenario and engine, with their timelines.

use maud::{Markup, html};

use super::document::{Status, page};
use super::timeline::timeline;
use crate::replay::{Outcome, Replay, Run, WaitStrategy};

/// Returns the page of `replays`.
pub fn replay_page(replays: &[Replay]) -> String {
    let count = |number: usize, noun: &str| {
        format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
    };
    let runs = replays.iter().map(|replay| replay.runs.len()).sum();
    let lead = format!("{}, {}", count(replays.len(), "replay"), count(runs, "run"));
    let (status, meaning) = status(replays);
    page(
        status,
        &[lead, meaning.to_owned()],
        html! { @for replay in replays { (section(replay)) } },
    )
}

/// The result as a whole, which depends only on the strategy `ready`: clients with other strategies
/// are expected to fail.
fn status(replays: &[Replay]) -> (Status, &'static str) {
    if replays.iter().any(Replay::ready_but_failed) {
        (Status::Failed, "reported ready, but the client failed")
    } else if replays.iter().any(Replay::undetermined) {
        (Status::Undetermined, "a VM failed, or an engine never became ready")
    } else {
        (Status::Passed, "no client failed after the engine was reported ready")
    }
}

fn section(replay: &Replay) -> Markup {
    html! {
        h2 { (replay.scenario) }
        p { (replay.title) span class="quiet" { " on " (replay.engine) } }
        table {
            thead {
                tr {
                    th { "strategy" } th { "client" } th { "waited" } th { "took" } th { "message" }
                }
            }
            tbody { @for run in &replay.runs { (row(run)) } }
        }
        @if let Some(link) = &replay.link { p class="quiet" { "Explanation: " (link) } }
        @for strategy in replay.strategies() {
            @for run in replay.runs_with(strategy).take(1) {
                details open[*strategy == WaitStrategy::Ready] {
                    summary { "timeline with " (strategy) }
                    (timeline(&run.timeline))
                }
            }
        }
    }
}

fn row(run: &Run) -> Markup {
    let (class, outcome) = match run.outcome {
        Outcome::Worked => ("passed", "worked"),
        Outcome::Slow => ("passed", "slow"),
        Outcome::Hung => ("failed", "hung"),
        Outcome::Failed => ("failed", "failed"),
        Outcome::NeverStarted => ("error", "never started"),
        Outcome::Error => ("error", "error"),
    };
    html! {
        tr {
            td { (run.strategy) }
            td { span class={ "badge " (class) } { (outcome) } }
            td { (format!("{:.1} s", run.waited)) }
            td { (format!("{:.1} s", run.took)) }
            td { code { (run.message) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(strategy: WaitStrategy, outcome: Outcome) -> Replay {
        let run = Run {
            strategy,
            outcome,
            waited: 1.25,
            took: 45.0,
            message: "<b>Cannot connect</b>".to_owned(),
            lag: None,
            timeline: Vec::new(),
        };
        Replay {
            scenario: "original".to_owned(),
            title: "an orphaned socket".to_owned(),
            link: None,
            engine: "docker-20.10".to_owned(),
            breaks: Vec::new(),
            runs: vec![run],
        }
    }

    #[test]
    fn the_title_of_the_page_is_the_result_of_ready() {
        let title = |strategy, outcome| {
            let page = replay_page(&[replay(strategy, outcome)]);
            assert!(page.contains("&lt;b&gt;Cannot connect") && !page.contains("<b>"), "{page}");
            page.split(['<', '>']).skip_while(|part| *part != "h1").nth(1).unwrap().to_owned()
        };
        assert_eq!(title(WaitStrategy::Ready, Outcome::Worked), "Passed");
        assert_eq!(title(WaitStrategy::Ready, Outcome::Hung), "Failed");
        assert_eq!(title(WaitStrategy::Ready, Outcome::NeverStarted), "Could not be determined");
        assert_eq!(title(WaitStrategy::None, Outcome::Hung), "Passed");
    }
}
