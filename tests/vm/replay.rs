//! `seatrial replay`: the start-up race that seatrial began with and two similar ones, each with a
//! wait strategy that fails and with `ready`. The nightly run replays all scenarios on all engines.

use serde_json::Value;

use crate::workbench::{seatrial, stdout};

/// Replays `scenario` on `engine`, and returns the outcome of each wait strategy.
fn outcomes(engine: &str, scenario: &str, strategies: &[&str]) -> Vec<(String, String)> {
    let mut arguments = vec!["replay", scenario, "--engine", engine, "--json"];
    strategies.iter().for_each(|strategy| arguments.extend(["--wait", strategy]));
    let output: Value = serde_json::from_str(&stdout(&seatrial(&arguments))).unwrap();
    eprintln!("{output:#}"); // shown when a test fails
    let runs = output["replays"][0]["runs"].as_array().unwrap();
    let text = |run: &Value, key: &str| run[key].as_str().unwrap().to_owned();
    runs.iter().map(|run| (text(run, "strategy"), text(run, "outcome"))).collect()
}

fn assert_outcomes(engine: &str, scenario: &str, expected: [(&str, &str); 2]) {
    let strategies = expected.map(|(strategy, _)| strategy);
    let expected = expected.map(|(strategy, outcome)| (strategy.to_owned(), outcome.to_owned()));
    let mut found = outcomes(engine, scenario, &strategies);
    // On a busy host, a client that works may exceed its timeout.
    for (_, outcome) in &mut found {
        if outcome == "slow" {
            *outcome = "worked".to_owned();
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn in_the_original_race_a_client_hangs_after_sockets_target_and_works_after_ready() {
    let expected = [("unit:sockets.target", "hung"), ("ready", "worked")];
    assert_outcomes("docker-20.10", "original", expected);
}

#[test]
#[ignore = "for the nightly run"]
fn without_a_listening_socket_a_client_is_refused_after_sockets_target() {
    let expected = [("unit:sockets.target", "failed"), ("ready", "worked")];
    assert_outcomes("docker-20.10", "no-socket", expected);
}

#[test]
#[ignore = "for the nightly run"]
fn without_containerd_a_client_fails_although_ping_was_answered() {
    let expected = [("ping", "failed"), ("ready", "worked")];
    assert_outcomes("docker-20.10", "containerd-gone", expected);
}

#[test]
#[ignore = "for the nightly run"]
fn podmans_unit_is_active_while_the_connection_of_an_early_client_is_orphaned() {
    let expected = [("unit:podman.service", "hung"), ("ready", "worked")];
    assert_outcomes("podman-5.4", "original", expected);
}

#[test]
#[ignore = "for the nightly run"]
fn a_containerd_that_starts_slowly_refuses_an_early_client() {
    let expected = [("unit:sockets.target", "failed"), ("ready", "worked")];
    assert_outcomes("containerd-1.7", "slow-start", expected);
}

#[test]
fn an_unknown_scenario_or_wait_strategy_is_bad_input_and_the_error_has_the_nearest_name() {
    for (arguments, hint) in [
        (["replay", "orignal"].as_slice(), "did you mean \"original\"?"),
        (&["replay", "original", "--wait", "raedy"], "did you mean \"ready\"?"),
    ] {
        let output = seatrial(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(hint), "{error}");
    }
}

#[test]
fn a_scenario_is_bad_input_for_an_engine_to_which_it_does_not_apply() {
    for (scenario, engine) in [("containerd-gone", "podman"), ("original", "containerd-1.7")] {
        let output = seatrial(&["replay", scenario, "--engine", engine]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{engine}: {error}");
        for name in [scenario, engine, "docker"] {
            assert!(error.contains(name), "{name}: {error}");
        }
    }
    let list = stdout(&seatrial(&["replay", "--list", "--engine", "containerd-1.7"]));
    assert!(list.contains("no-socket") && !list.contains("original"), "{list}");
}
