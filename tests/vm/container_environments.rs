//! The environment of containers, which `seatrial check` reads where a container runs anyway.

use serde_json::Value;

use crate::each_engine::on_each_engine;
use crate::sample_image::{SampleImage, outcomes};
use crate::workbench::{NamedVm, seatrial, stdout};

const ENVIRONMENT: &str = "environment of a container";
/// The second command has the image's own environment when it starts, but not afterwards.
const COMMANDS: &str = r#"
env = { has = { VERSION = "1.2.3" }, absent = ["OWN", "CHANGED"] }
[[run]]
name = "own environment"
container = { env = { OWN = "x" } }
stdout = "hello\n"
[[run]]
name = "image's environment"
container = { command = ["export CHANGED=x; exec /bin/true"] }
[[run]]
name = "another"
"#;
const NO_COMMANDS: &str = "[env]\nhas = { VERSION = '1.2.3' }\n";

/// Prints a line for each container that the engine has started, except for pods.
fn script(engine: &str) -> &'static str {
    match engine {
        name if name.starts_with("docker") => {
            // Whole seconds would leave out the events of the present second.
            "docker events --since 1h --until $(date +%s.%N) --filter event=start"
        }
        name if name.starts_with("podman") => {
            "podman events --since 1h --stream=false --filter event=start --filter type=container"
        }
        _ => "journalctl -u containerd -o cat | grep 'StartContainer for .* returns successfully'",
    }
}

/// Runs the checks in the VM, and returns the verdict and how many containers were started.
fn check(sample: &SampleImage, vm: &str, engine: &str, expectations: &str) -> (Value, usize) {
    let count = || {
        let lines = seatrial(&["vm", "exec", vm, "--", "sh", "-c", script(engine)]);
        String::from_utf8_lossy(&lines.stdout).lines().count()
    };
    let before = count();
    let (_, verdict) = sample.check(expectations, &["--vm", vm]);
    (verdict, count() - before)
}

fn shows_the_environment_of_a_container_that_runs_anyway(engine: &str) {
    let vm: &'static str = format!("environments-{engine}").leak();
    stdout(&seatrial(&["vm", "up", engine, "--name", vm]));
    let _vm = NamedVm(vm);
    let sample = SampleImage::new();
    let (verdict, started) = check(&sample, vm, engine, COMMANDS);
    let expected = [
        ("loads with the expected name", "passed"),
        (ENVIRONMENT, "passed"),
        ("run own environment", "passed"),
        ("run image's environment", "passed"),
        ("run another", "passed"),
    ];
    assert!(outcomes(&verdict).ends_with(&expected), "{verdict:#}");
    assert_eq!(started, 3, "{engine}");
    let mut cases = verdict["cases"].as_array().unwrap().iter();
    let output =
        cases.find(|case| case["name"] == ENVIRONMENT).unwrap()["output"].as_str().unwrap();
    let names: Vec<&str> = output.lines().filter_map(|line| line.split('=').next()).collect();
    let added_by_engine = "HOSTNAME";
    assert!(["PATH", "VERSION", added_by_engine].iter().all(|n| names.contains(n)), "{output}");

    let (verdict, started) = check(&sample, vm, engine, NO_COMMANDS);
    assert!(outcomes(&verdict).contains(&(ENVIRONMENT, "passed")), "{verdict:#}");
    assert_eq!(started, 1, "{engine}");
}

#[test]
fn no_container_is_started_for_the_environment_if_a_command_shows_it_on_each_engine() {
    on_each_engine(&["containerd-1.7"], shows_the_environment_of_a_container_that_runs_anyway);
}
