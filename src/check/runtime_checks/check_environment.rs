//! The test case of the environment of a container.

use std::time::Instant;

use super::environment::ContainerEnvironment;
use super::output::Output;
use super::{ENVIRONMENT, RuntimeChecks};
use crate::check::comparison::environment;
use crate::check::expectations::EnvExpectations;
use crate::check::secret_values;
use crate::check::verdict::{Checks, TestCase};
use crate::lint::hide;
use crate::text::{self, Description};

impl RuntimeChecks<'_, '_> {
    /// Runs the test case of the environment, and reports those that were held back for it.
    pub(super) async fn check_environment(&mut self, expected: &EnvExpectations) {
        if matches!(self.environment, ContainerEnvironment::NotWanted) {
            return;
        }
        let begin = Instant::now();
        let findings = match self.environment.entries(self.image).await {
            Ok(entries) => {
                let config = self.image.config_env().await;
                config.map(|config| compare(&config, entries, expected))
            }
            Err(error) => Err(error),
        };
        let held: Option<Vec<TestCase>> = self.held.take();
        self.finish(ENVIRONMENT.to_owned(), findings, begin);
        held.into_iter().flatten().for_each(|case| (self.report)(case));
    }

    /// Runs the test case of the environment, if it waits, with that of `container`.
    pub(super) async fn check_recorded(
        &mut self,
        container: Option<String>,
        expected: &EnvExpectations,
    ) {
        let (Some(id), true) = (container, self.held.is_some()) else { return };
        if self.environment.take_recorded(self.image.daemon(), &id).await {
            self.check_environment(expected).await;
        }
    }
}

/// Compares the environment of a process in a container with the config's and with `expected`.
fn compare(
    config: &[String],
    container: &[Vec<u8>],
    expected: &EnvExpectations,
) -> (Checks, Output) {
    let mut checks = environment::check(expected, container);
    for (index, entry) in config.iter().enumerate() {
        let (name, _) = environment::split(entry.as_bytes());
        let is_name = |other: &String| environment::split(other.as_bytes()).0 == name;
        // Of several entries with one name, the last one counts; some engines drop the others.
        if config[index + 1..].iter().any(is_name) {
            continue;
        }
        let passed = container.iter().any(|found| found == entry.as_bytes());
        let same_name = container.iter().filter(|found| environment::split(found).0 == name);
        let mut found: Vec<Description> = same_name.map(|entry| quoted(entry)).collect();
        let found = match (found.len(), found.pop()) {
            (_, None) => "nothing".into(),
            (1, Some(found)) if !passed && found == quoted(entry.as_bytes()) => {
                found.then(", another value")
            }
            (1, Some(found)) => found,
            (_, Some(last)) => secret_values::list(found.into_iter().chain([last])),
        };
        let subject = format!("{} of the config, in a container", text::bytes(name));
        checks.record(&subject, quoted(entry.as_bytes()), found, passed);
    }
    let hidden = container.iter().map(|entry| text::bytes(&hide(entry)));
    let output = hidden.collect::<Vec<String>>().join("\n");
    (checks, (output, String::new()).into())
}

fn quoted(entry: &[u8]) -> Description {
    Description::quote_bytes(&hide(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_differences_are_named() {
        let config = ["A_TOKEN=of the config", "B_TOKEN=b", "C=c"].map(str::to_owned);
        let container = ["A_TOKEN=of the engine", "C=d"].map(|entry| entry.as_bytes().to_vec());
        let (checks, output) = compare(&config, &container, &EnvExpectations::default());
        let shown = |check: &crate::check::verdict::Check| {
            format!("{}: {} {}", check.subject, check.expected, check.found)
        };
        let mismatches: Vec<String> = checks.mismatches().iter().map(shown).collect();
        assert_eq!(
            mismatches,
            [
                "A_TOKEN of the config, in a container: \"A_TOKEN=<hidden>\" \
                 \"A_TOKEN=<hidden>\", another value",
                "B_TOKEN of the config, in a container: \"B_TOKEN=<hidden>\" nothing",
                "C of the config, in a container: \"C=c\" \"C=d\"",
            ]
        );
        assert_eq!(output.stdout, "A_TOKEN=<hidden>\nC=d");
    }
}
