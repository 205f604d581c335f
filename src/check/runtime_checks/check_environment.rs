//! The test case of the environment of a container.

use std::time::Instant;

use super::environment::ContainerEnvironment;
use super::{ENVIRONMENT, Findings, RuntimeChecks};
use crate::check::expectations::EnvExpectations;
use crate::check::static_checks::environment;
use crate::check::verdict::TestCase;
use crate::harness::LoadedImage;
use crate::{text, value};

impl RuntimeChecks<'_, '_> {
    /// Runs the test case of the environment, and reports those that were held back for it.
    pub(super) async fn check_environment(&mut self, expected: &EnvExpectations) {
        if matches!(self.environment, ContainerEnvironment::NotWanted) {
            return;
        }
        let begin = Instant::now();
        let findings = match self.environment.entries(self.image).await {
            Ok(entries) => compare(self.image, entries, expected).await,
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

/// Compares the environment of a process in a container with the config and with `expected`.
async fn compare(
    image: &LoadedImage<'_>,
    container: &[Vec<u8>],
    expected: &EnvExpectations,
) -> Findings {
    let config = image.config_env().await?;
    let mut checks = environment::check(expected, container);
    for (index, entry) in config.iter().enumerate() {
        let (name, _) = environment::split(entry.as_bytes());
        let is_name = |other: &String| environment::split(other.as_bytes()).0 == name;
        // Of several entries with one name, the last one counts; some engines drop the others.
        if config[index + 1..].iter().any(is_name) {
            continue;
        }
        let same_name = container.iter().filter(|found| environment::split(found).0 == name);
        let found: Vec<String> = same_name.map(|entry| value::quote_bytes(entry)).collect();
        let found = match &found[..] {
            [] => "nothing".to_owned(),
            [entry] => entry.clone(),
            entries => format!("[{}]", entries.join(", ")),
        };
        let subject = format!("{} of the config, in a container", text::bytes(name));
        let passed = container.iter().any(|found| found == entry.as_bytes());
        checks.record(&subject, value::quote(entry), found, passed);
    }
    let output: Vec<String> = container.iter().map(|entry| text::bytes(entry)).collect();
    Ok((checks, (output.join("\n"), String::new()).into()))
}
