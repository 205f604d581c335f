//! The page of replays: a table of runs for each scenario and engine, with their timelines.

use maud::{Markup, html};

use super::document::{Head, Status, page};
use super::timeline::{Lane, Mark, end, lanes, marks};
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
        &Head::new(status, &[lead, meaning.to_owned()]),
        None,
        html! { @for replay in replays { (section(replay, axis_end(replay, replays))) } },
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

/// The end of the axis, which all replays of a scenario have in common.
fn axis_end(replay: &Replay, replays: &[Replay]) -> f64 {
    let same = replays.iter().filter(|other| other.scenario == replay.scenario);
    same.map(|replay| end(&timelines(replay))).fold(0.0, f64::max)
}

fn section(replay: &Replay, axis_end: f64) -> Markup {
    html! {
        section {
            h2 { (replay.scenario) }
            p { (replay.title) span class="quiet" { " on " (replay.engine) } }
            @if let Some(link) = &replay.link { p class="quiet" { "Explanation: " (link) } }
            table class="runs" {
                thead {
                    tr {
                        @for title in ["Strategy", "Client", "Waited", "Took", "Message"] {
                            th scope="col" { (title) }
                        }
                    }
                }
                tbody { @for run in &replay.runs { (row(run)) } }
            }
            (lanes(&timelines(replay), axis_end))
        }
    }
}

/// A timeline for each strategy: that of the first run that went wrong, else of the first that was
/// slow, or else of the first.
fn timelines(replay: &Replay) -> Vec<Lane> {
    let run_of = |strategy| {
        let went_wrong = |run: &&Run| class(run.outcome) != "passed";
        let is_slow = |run: &&Run| run.outcome == Outcome::Slow;
        let runs = || replay.runs_with(strategy);
        runs().find(went_wrong).or_else(|| runs().find(is_slow)).or_else(|| runs().next())
    };
    let runs = replay.strategies().into_iter().filter_map(run_of);
    runs.map(|run| lane(run, replay)).collect()
}

fn lane(run: &Run, replay: &Replay) -> Lane {
    let count = replay.runs_with(&run.strategy).count();
    Lane {
        title: html! { (run.strategy) },
        note: html! {
            span class={ "badge " (class(run.outcome)) } { (word(run.outcome)) }
            @if count > 1 { span class="quiet" { " in one of " (count) " runs" } }
        },
        marks: run_marks(run),
        open: run.outcome != Outcome::Worked || run.strategy == WaitStrategy::Ready,
    }
}

/// The events of a run, with the moment at which it succeeded or gave up.
fn run_marks(run: &Run) -> Vec<Mark> {
    let mut marks = marks(&run.timeline);
    let (at, label) = match run.outcome {
        Outcome::Worked => (run.waited + run.took, "the client got its answer"),
        Outcome::Slow => (run.waited + run.took, "the client got its answer, after its timeout"),
        Outcome::Hung => (run.waited + run.took, "gave up: the client got no answer in time"),
        Outcome::Failed => (run.waited + run.took, "gave up: the client got an error"),
        Outcome::NeverStarted => (run.waited, "gave up: the wait strategy was not satisfied"),
        Outcome::Error => return marks,
    };
    let mark = Mark { at, guest: None, label: label.to_owned(), class: class(run.outcome) };
    let later = marks.iter().position(|mark| mark.at > at).unwrap_or(marks.len());
    marks.insert(later, mark);
    marks
}

/// The CSS class of an outcome.
fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Worked | Outcome::Slow => "passed",
        Outcome::Hung | Outcome::Failed => "failed",
        Outcome::NeverStarted | Outcome::Error => "error",
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Worked => "worked",
        Outcome::Slow => "slow",
        Outcome::Hung => "hung",
        Outcome::Failed => "failed",
        Outcome::NeverStarted => "never started",
        Outcome::Error => "error",
    }
}

fn row(run: &Run) -> Markup {
    html! {
        tr {
            th scope="row" { (run.strategy) }
            td { span class={ "badge " (class(run.outcome)) } { (word(run.outcome)) } }
            td class="number" { (format!("{:.1} s", run.waited)) }
            td class="number" { (format!("{:.1} s", run.took)) }
            td { code { (run.message) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page around the timeline of a strategy: its tag, and what is in it.
    fn lane_of<'p>(page: &'p str, strategy: &str) -> &'p str {
        let mut lanes = page.split("<details").skip(1);
        lanes.find(|lane| lane.contains(&format!("{strategy}</span>"))).unwrap()
    }

    #[test]
    fn the_timeline_of_a_failed_strategy_is_open_and_shows_where_it_gave_up() {
        let mut replay = replay(WaitStrategy::Ping, Outcome::Worked);
        let template = replay.runs[0].clone();
        let run = |strategy, outcome| Run { strategy, outcome, ..template.clone() };
        replay.runs.push(run(WaitStrategy::None, Outcome::Worked));
        replay.runs.push(run(WaitStrategy::None, Outcome::Hung));
        replay.runs.push(run(WaitStrategy::Ready, Outcome::NeverStarted));
        let page = replay_page(&[replay]);
        let (none, ready, ping) =
            (lane_of(&page, "none"), lane_of(&page, "ready"), lane_of(&page, "ping"));
        assert!(none.starts_with(r#" class="lane" open"#), "{none}");
        assert!(none.contains("gave up: the client got no answer in time"), "{none}");
        assert!(none.contains("46.25 s") && none.contains("in one of 2 runs"), "{none}");
        assert!(ready.starts_with(r#" class="lane" open"#), "{ready}");
        assert!(
            ready.contains("1.25 s") && ready.contains("gave up: the wait strategy"),
            "{ready}"
        );
        assert!(ping.starts_with(r#" class="lane">"#) && !ping.contains("gave up"), "{ping}");
    }

    #[test]
    fn the_timeline_of_a_slow_client_is_open() {
        let mut replay = replay(WaitStrategy::None, Outcome::Worked);
        let slow = Run { outcome: Outcome::Slow, ..replay.runs[0].clone() };
        replay.runs.push(slow);
        let page = replay_page(&[replay]);
        let lane = lane_of(&page, "none");
        assert!(lane.starts_with(r#" class="lane" open"#), "{lane}");
        assert!(lane.contains("the client got its answer, after its timeout"), "{lane}");
    }

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
