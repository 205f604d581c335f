//! `seatrial replay`: the start-up race that this project began with and two of its siblings, each for a way to wait that
//! it breaks and for ours. All scenarios on all engines are for the nightly run.

use serde_json::Value;

use crate::dock::{seatrial, stdout};

/// What became of the clients of `scenario` on `engine`, by policy.
fn outcomes(engine: &str, scenario: &str, policies: &[&str]) -> Vec<(String, String)> {
    let mut arguments = vec!["replay", scenario, "--engine", engine, "--json"];
    policies.iter().for_each(|policy| arguments.extend(["--wait", policy]));
    let said: Value = serde_json::from_str(&stdout(&seatrial(&arguments))).unwrap();
    eprintln!("{said:#}"); // shown when a test fails
    let runs = said["replays"][0]["runs"].as_array().unwrap();
    let text = |run: &Value, name: &str| run[name].as_str().unwrap().to_owned();
    runs.iter().map(|run| (text(run, "policy"), text(run, "outcome"))).collect()
}

fn expect(scenario: &str, expected: [(&str, &str); 2]) {
    expect_on("docker-20.10", scenario, expected);
}

fn expect_on(engine: &str, scenario: &str, expected: [(&str, &str); 2]) {
    let policies = expected.map(|(policy, _)| policy);
    let expected = expected.map(|(policy, outcome)| (policy.to_owned(), outcome.to_owned()));
    assert_eq!(outcomes(engine, scenario, &policies), expected);
}

#[test]
fn the_original_race_hangs_who_waits_for_sockets_target_and_not_who_waits_for_answers() {
    expect("original", [("unit:sockets.target", "hung"), ("ready", "worked")]);
}

#[test]
fn where_nobody_listens_yet_who_waits_for_sockets_target_is_refused() {
    expect("no-socket", [("unit:sockets.target", "failed"), ("ready", "worked")]);
}

#[test]
fn a_ping_is_not_enough_where_containerd_is_gone() {
    expect("containerd-gone", [("ping", "failed"), ("ready", "worked")]);
}

#[test]
fn an_unknown_scenario_or_policy_is_the_users_mistake() {
    for (arguments, hint) in [
        (["replay", "orignal"].as_slice(), "did you mean \"original\"?"),
        (&["replay", "original", "--wait", "raedy"], "did you mean \"ready\"?"),
    ] {
        let output = seatrial(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(hint), "{said}");
    }
}

#[test]
fn podmans_unit_is_active_while_nobody_serves_the_socket_of_an_early_client() {
    expect_on("podman-4.3", "original", [("unit:podman.service", "hung"), ("ready", "worked")]);
}

#[test]
fn a_slow_containerd_refuses_an_early_client() {
    expect_on(
        "containerd-1.6",
        "slow-start",
        [("unit:sockets.target", "failed"), ("ready", "worked")],
    );
}

#[test]
fn what_cannot_happen_to_an_engine_is_not_replayed_on_it_and_asking_for_it_is_a_mistake() {
    for (scenario, engine) in [("containerd-gone", "podman"), ("original", "containerd-1.6")] {
        let output = seatrial(&["replay", scenario, "--engine", engine]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{engine}: {said}");
        assert!(
            said.contains(scenario) && said.contains(engine) && said.contains("docker"),
            "{said}"
        );
    }
    let listed = stdout(&seatrial(&["replay", "--list", "--engine", "containerd-1.6"]));
    assert!(listed.contains("no-socket") && !listed.contains("original"), "{listed}");
}
