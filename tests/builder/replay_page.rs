//! The HTML report of replays in a browser.

use std::path::Path;
use std::time::Duration;

use seatrial::engine::TimelineEvent;
use seatrial::replay::{Outcome, Replay, Run, WaitStrategy};
use seatrial::report::html;
use serde_json::json;

use crate::browser::Browser;

fn run(strategy: WaitStrategy, outcome: Outcome) -> Run {
    let event = |seconds, what: &str| TimelineEvent {
        at: Duration::from_secs_f64(seconds),
        guest: Some(Duration::from_secs_f64(seconds + 3.0)),
        what: what.to_owned(),
    };
    Run {
        strategy,
        outcome,
        waited: 1.5,
        took: if outcome == Outcome::Worked { 5.8 } else { 45.2 },
        message: format!("no answer: {}", "/var/run/docker.sock ".repeat(20)),
        lag: None,
        timeline: vec![
            event(0.1, "docker.socket is active"),
            event(1.1, &format!("docker.service wrote {}", "x".repeat(300))),
        ],
    }
}

/// The page of a scenario, a copy of which is kept for people in the folder for files of tests.
fn browser() -> Browser {
    let unit = || WaitStrategy::Unit("docker.service".to_owned());
    let replay = Replay {
        scenario: "original".to_owned(),
        title: "the engine creates its own socket where systemd already listens".to_owned(),
        link: Some("docs/timing.md#an-orphaned-socket".to_owned()),
        engine: "docker-20.10".to_owned(),
        breaks: vec![WaitStrategy::None],
        runs: vec![
            run(WaitStrategy::None, Outcome::Worked),
            run(WaitStrategy::None, Outcome::Hung),
            run(unit(), Outcome::Worked),
            run(WaitStrategy::SocketExists, Outcome::Failed),
            run(WaitStrategy::Connects, Outcome::Slow),
            run(WaitStrategy::Ping, Outcome::NeverStarted),
            run(WaitStrategy::Ready, Outcome::Worked),
        ],
    };
    let page = html::replay_page(&[replay]);
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("replay-page.html");
    std::fs::write(copy, &page).unwrap();
    Browser::new(&page)
}

#[test]
fn timelines_of_strategies_that_failed_are_open_and_the_page_loads_without_messages() {
    let browser = browser();
    let (_, console) = browser.load();
    assert_eq!(console, [""; 0]);
    let script = "[...document.querySelectorAll('.lane')].map(lane => [
        lane.querySelector('.title').textContent, lane.querySelector('.badge').textContent,
        [...lane.querySelectorAll('.event span')].filter(e => e.checkVisibility()).map(e =>
            e.textContent.slice(0, 20))])";
    let events = |end| json!(["docker.socket is act", "docker.service wrote", end]);
    let expected = json!([
        ["none", "hung", events("gave up: the client ")],
        ["unit:docker.service", "worked", []],
        ["socket-exists", "failed", events("gave up: the client ")],
        ["connects", "slow", events("the client got its a")],
        // It gave up after 1.5 s.
        ["ping", "never started", events("gave up: the wait st")],
        ["ready", "worked", events("the client got its a")],
    ]);
    assert_eq!(browser.evaluate(script), expected);
}

#[test]
fn nothing_of_a_replay_lies_off_a_page_of_1280_pixels_or_off_paper() {
    let off = "[...document.querySelectorAll('body *')].filter(e => e.checkVisibility()
        && (e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
            || e.getBoundingClientRect().left < 0)).map(e => `${e.localName}.${e.className}`)";
    let browser = browser();
    let found = browser.evaluate(&format!(
        "[innerWidth, document.documentElement.scrollWidth <= innerWidth, {off}]"
    ));
    assert_eq!(found, json!([1280, true, []]));
    let open = "document.querySelectorAll('.lane[open]').length";
    let (found, [width, height]) = browser.print(&format!("[{open}, {off}]"));
    assert_eq!(found, json!([5, []]));
    assert!(width > height, "landscape: {width} x {height} points");
}
