//! `--engine`: the engines that a command uses.

use crate::vm::Definition;

/// The engine of commands that are run without `--engine`.
const DEFAULT_ENGINE: &str = "docker-20.10";

/// Returns the guests that `requested` names, each once: single guests, families, or `all`.
pub(in crate::cli) fn selected_engines(requested: &[String]) -> anyhow::Result<Vec<String>> {
    if requested.is_empty() {
        return Ok(vec![DEFAULT_ENGINE.to_owned()]);
    }
    let mut engines: Vec<String> = Vec::new();
    for name in requested {
        for engine in Definition::matching(name)? {
            if !engines.contains(&engine) {
                engines.push(engine);
            }
        }
    }
    Ok(engines)
}
