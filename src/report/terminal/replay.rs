//! A replay as text: a table with one line for each wait strategy and outcome.

use crate::replay::{Outcome, Replay, Run, WaitStrategy};
use crate::text;

/// Formats a replay. With `timelines`, adds the timeline of each wait strategy's first run.
pub fn replay(replay: &Replay, timelines: bool) -> String {
    let mut text = format!(
        "{}: {}\n  on {}\n  {:<24}{:<14}{:>8}{:>9}  message\n",
        replay.scenario, replay.title, replay.engine, "strategy", "client", "waited", "took"
    );
    for strategy in replay.strategies() {
        text.push_str(&rows(replay, strategy));
    }
    let lags = replay.runs_with(&WaitStrategy::Ready).filter_map(|run| run.lag);
    if let Some(lag) = median(lags.collect()) {
        let milliseconds = 1000.0 * lag;
        text.push_str(&format!(
            "  ready: satisfied {milliseconds:.0} ms after the engine could serve (median)\n"
        ));
    }
    if let Some(link) = &replay.link {
        text.push_str(&format!("  why: {link}\n"));
    }
    if timelines {
        text.push_str(&first_timelines(replay));
    }
    text
}

/// Formats the runs of a strategy: one line for each outcome, with the median of the times.
fn rows(replay: &Replay, strategy: &WaitStrategy) -> String {
    let runs: Vec<&Run> = replay.runs_with(strategy).collect();
    let mut outcomes: Vec<Outcome> = runs.iter().map(|run| run.outcome).collect();
    outcomes.sort_unstable();
    outcomes.dedup();
    let mut rows = String::new();
    for (index, outcome) in outcomes.iter().enumerate() {
        let same: Vec<&&Run> = runs.iter().filter(|run| run.outcome == *outcome).collect();
        let time = |seconds: fn(&Run) -> f64| {
            median(same.iter().map(|run| seconds(run)).collect()).unwrap_or_default()
        };
        let name = if index == 0 { strategy.to_string() } else { String::new() };
        let count =
            if runs.len() > 1 { format!("{}/{} ", same.len(), runs.len()) } else { String::new() };
        let message = same.first().and_then(|run| run.message.lines().next()).unwrap_or_default();
        let message = text::escape(message);
        let line = format!(
            "  {name:<24}{:<14}{:>6.1} s{:>7.1} s  {message}",
            count + self::outcome(*outcome),
            time(|run| run.waited),
            time(|run| run.took),
        );
        rows.push_str(&truncate(line.trim_end()));
        rows.push('\n');
    }
    rows
}

fn first_timelines(replay: &Replay) -> String {
    let mut text = String::new();
    for run in replay.strategies().into_iter().filter_map(|it| replay.runs_with(it).next()) {
        let outcome = self::outcome(run.outcome);
        text.push_str(&format!("  {}: {outcome}  (host clock, guest clock)\n", run.strategy));
        run.timeline.iter().for_each(|event| text.push_str(&format!("  {event}\n")));
    }
    text
}

/// Returns the word for an outcome.
pub(crate) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Worked => "worked",
        Outcome::Slow => "slow",
        Outcome::Hung => "HUNG",
        Outcome::Failed => "FAILED",
        Outcome::NeverStarted => "never started",
        Outcome::Error => "ERROR",
    }
}

/// Returns the median of `values`: of two in the middle, the higher one.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Shortens a line to 80 columns.
fn truncate(line: &str) -> String {
    match line.char_indices().nth(79) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_number_of_runs_with_each_outcome_and_fits_80_columns() {
        let strategy = WaitStrategy::Unit("sockets.target".to_owned());
        let run = |outcome| Run {
            strategy: strategy.clone(),
            outcome,
            waited: 1.25,
            took: 45.0,
            message: "Cannot connect to the Docker daemon at unix:///run/docker.sock".to_owned(),
            lag: Some(0.05),
            timeline: Vec::new(),
        };
        let outcomes = [Outcome::Hung, Outcome::Worked, Outcome::Hung];
        let text = replay(
            &Replay {
                scenario: "original".to_owned(),
                title: "an orphaned socket".to_owned(),
                link: None,
                engine: "docker-20.10".to_owned(),
                breaks: Vec::new(),
                runs: outcomes.into_iter().map(run).collect(),
            },
            false,
        );
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(lines[3].starts_with("  unit:sockets.target     1/3 worked"), "{text}");
        assert!(lines[4].starts_with("                          2/3 HUNG"), "{text}");
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
    }
}
