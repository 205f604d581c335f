//! Replays of scenarios: a table for a terminal, a page for a browser.

use super::html::{document, escaped};
use super::picture;
use crate::replay::{Outcome, Replay, Run, WaitStrategy};

/// The head of a scenario's table, for 80 columns.
pub fn head(title: &str, engine: &str) -> String {
    format!(
        "{title}\n  on {engine}\n  {:<24}{:<14}{:>8}{:>9}  said\n",
        "policy", "client", "waited", "took"
    )
}

/// What became of all runs with one policy, in one line and a few more where they differ.
pub fn policy(replay: &Replay, policy: &WaitStrategy) -> String {
    let runs: Vec<&Run> = replay.runs_with(policy).collect();
    let mut outcomes: Vec<Outcome> = runs.iter().map(|run| run.outcome).collect();
    outcomes.sort_unstable();
    outcomes.dedup();
    let mut text = String::new();
    for (number, outcome) in outcomes.iter().enumerate() {
        let these: Vec<&&Run> = runs.iter().filter(|run| run.outcome == *outcome).collect();
        let times = |of: fn(&Run) -> f64| median(these.iter().map(|run| of(run)).collect());
        let name = if number == 0 { policy.to_string() } else { String::new() };
        let count =
            if runs.len() > 1 { format!("{}/{} ", these.len(), runs.len()) } else { String::new() };
        let said =
            these.first().map_or("", |run| run.message.as_str()).lines().next().unwrap_or_default();
        let line = format!(
            "  {name:<24}{:<14}{:>6.1} s{:>7.1} s  {}",
            count + word(*outcome),
            times(|run| run.waited),
            times(|run| run.took),
            said,
        );
        text.push_str(&cut(line.trim_end()));
        text.push('\n');
    }
    text
}

/// What is said below the table.
pub fn foot(replay: &Replay) -> String {
    let late: Vec<f64> = replay.runs_with(&WaitStrategy::Ready).filter_map(|run| run.lag).collect();
    let mut text = String::new();
    if !late.is_empty() {
        text.push_str(&format!(
            "  ready: content {:.0} ms after the engine could serve",
            1000.0 * median(late)
        ));
        text.push_str(" (median)\n");
    }
    if let Some(place) = &replay.link {
        text.push_str(&format!("  why: {place}\n"));
    }
    text
}

/// The timelines of a scenario, the first of each policy.
pub fn timelines(replay: &Replay) -> String {
    let mut text = String::new();
    for policy in replay.strategies() {
        if let Some(run) = replay.runs_with(policy).next() {
            text.push_str(&format!("  {policy}: {}  (host, guest clock)\n", word(run.outcome)));
            run.timeline.iter().for_each(|event| text.push_str(&format!("  {event}\n")));
        }
    }
    text
}

/// One page with all of `replays`.
pub fn page(replays: &[Replay]) -> String {
    let broken = replays.iter().any(Replay::ready_but_failed);
    let unknown = replays.iter().any(Replay::undetermined);
    let (title, class) = match (broken, unknown) {
        (true, _) => ("A promise was broken", "failed"),
        (false, true) => ("Not found out", "error"),
        (false, false) => ("Ready meant ready", "passed"),
    };
    let runs: usize = replays.iter().map(|replay| replay.runs.len()).sum();
    let lead = format!("{} scenarios replayed, {runs} clients", replays.len());
    let mut body = format!("<header class=\"{class}\"><h1>{title}</h1><p>{lead}</p></header>");
    for replay in replays {
        body.push_str(&format!(
            "<h2>{}</h2><p>{} <span class=\"quiet\">on {}</span></p>",
            escaped(&replay.scenario),
            escaped(&replay.title),
            escaped(&replay.engine)
        ));
        body.push_str("<table class=\"matrix\"><thead><tr><th>policy</th><th>client</th><th>waited</th><th>took</th><th>said</th></tr></thead><tbody>");
        replay.runs.iter().for_each(|run| body.push_str(&row(run)));
        body.push_str("</tbody></table>");
        if let Some(place) = &replay.link {
            body.push_str(&format!("<p class=\"quiet\">Why: {}</p>", escaped(place)));
        }
        for policy in replay.strategies() {
            if let Some(run) = replay.runs_with(policy).next() {
                body.push_str(&format!(
                    "<details{}><summary>{}: what was true when</summary>{}</details>",
                    if *policy == WaitStrategy::Ready { " open" } else { "" },
                    escaped(&policy.to_string()),
                    picture::timeline(&run.timeline)
                ));
            }
        }
    }
    document(&format!("{title}: {lead}"), &body)
}

fn row(run: &Run) -> String {
    let class = match run.outcome {
        Outcome::Worked => "passed",
        Outcome::Hung | Outcome::Failed => "failed",
        Outcome::NeverStarted | Outcome::Error => "error",
    };
    format!(
        "<tr><td>{}</td><td><span class=\"badge {class}\">{}</span></td><td>{:.1} s</td><td>{:.1} s</td><td><code>{}</code></td></tr>",
        escaped(&run.strategy.to_string()),
        word(run.outcome),
        run.waited,
        run.took,
        escaped(&run.message)
    )
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Worked => "worked",
        Outcome::Hung => "HUNG",
        Outcome::Failed => "FAILED",
        Outcome::NeverStarted => "never started",
        Outcome::Error => "ERROR",
    }
}

/// The middle one of `values`, the upper of two; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A line for a terminal of 80 columns.
fn cut(line: &str) -> String {
    match line.char_indices().nth(79) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(policy: WaitStrategy, outcomes: &[Outcome]) -> Replay {
        let run = |outcome: &Outcome| Run {
            strategy: policy.clone(),
            outcome: *outcome,
            waited: 1.25,
            took: 45.0,
            message: "<b>Cannot connect to the Docker daemon at unix:///var/run/docker.sock</b>"
                .to_owned(),
            lag: None,
            timeline: Vec::new(),
        };
        Replay {
            scenario: "x".to_owned(),
            title: "y".to_owned(),
            link: None,
            engine: "z".to_owned(),
            runs: outcomes.iter().map(run).collect(),
        }
    }

    #[test]
    fn the_table_tells_how_often_and_fits_80_columns() {
        use Outcome::*;
        let replay = replay(WaitStrategy::Unit("sockets.target".to_owned()), &[Hung, Worked, Hung]);
        let lines = policy(&replay, &replay.runs[0].strategy);
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("  unit:sockets.target     1/3 worked"), "{}", lines[0]);
        assert!(lines[1].starts_with("                          2/3 HUNG"), "{}", lines[1]);
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn what_a_client_was_told_is_no_part_of_the_page() {
        let page = page(&[replay(WaitStrategy::Ready, &[Outcome::Failed])]);
        assert!(page.contains("<h1>A promise was broken</h1>"));
        assert!(page.contains("&lt;b&gt;Cannot") && !page.contains("<b>Cannot"));
    }
}
