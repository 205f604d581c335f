//! The engines of tests that must pass on each of them: a few in the gate, more in the nightly run.

use std::thread;

/// The environment variable with names of engines, separated by commas, that replace the gate's.
const VARIABLE: &str = "SEATRIAL_TEST_ENGINES";

/// Returns the engines of a test: `gate`, unless the environment variable names others.
pub fn engines(gate: &[&str]) -> Vec<String> {
    match std::env::var(VARIABLE) {
        Ok(names) => names.split(',').map(str::to_owned).collect(),
        Err(_) => gate.iter().map(ToString::to_string).collect(),
    }
}

/// Runs `test` once for each engine of [`engines`], side by side. Names of tests that use it end in
/// `on_each_engine`: `ci/nightly` selects them by that.
pub fn on_each_engine(gate: &[&str], test: impl Fn(&str) + Sync) {
    thread::scope(|scope| {
        for engine in engines(gate) {
            let test = &test;
            // A panic shows the name of the thread.
            let named = thread::Builder::new().name(engine.clone());
            named.spawn_scoped(scope, move || test(&engine)).unwrap();
        }
    });
}

/// Whether the engine's containers are those of pods, over CRI.
pub fn is_cri(engine: &str) -> bool {
    engine.starts_with("containerd")
}
