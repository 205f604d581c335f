//! Environments with which the first programs of containers start.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::daemon::Daemon;
use super::error::HarnessError;
use super::loaded_image::LoadedImage;
use crate::engine::{EngineError, RunOptions};
use crate::image::Env;
use crate::lint::hide;
use crate::text::value;
use crate::vm::instance::Recording;

/// The time limit for reading the environment of a container.
const ENV_TIMEOUT: Duration = Duration::from_secs(60);

impl Daemon {
    /// Starts to record the environments of containers that start from now on.
    ///
    /// # Errors
    /// If the guest does not answer, or its kernel does not report programs that start.
    pub(crate) async fn record_environments(&self) -> Result<Recording, HarnessError> {
        Ok(self.vm().record_environments().await?)
    }

    /// Returns the entries of the environment of the container with this ID, as the bytes that the
    /// kernel passed to its first program, and ends the recording. If they have not been recorded,
    /// the recording continues.
    ///
    /// # Errors
    /// If the guest does not answer.
    pub(crate) async fn recorded_environment(
        &self,
        recording: &Recording,
        container: &str,
    ) -> Result<Option<Vec<Vec<u8>>>, HarnessError> {
        let recorded = self.vm().recorded_environment(recording, container).await?;
        Ok(recorded.map(|bytes| entries(&bytes)))
    }

    /// Ends a recording.
    ///
    /// # Errors
    /// If the guest does not answer.
    pub(crate) async fn end_recording(&self, recording: Recording) -> Result<(), HarnessError> {
        Ok(self.vm().end_recording(recording).await?)
    }
}

impl LoadedImage<'_> {
    /// Asserts that the config and the environment of a container have each of the `expected`
    /// entries, that no name occurs twice in either, and that the container has every entry of the
    /// config. The engine may add variables of its own to a container. Messages hide the values of
    /// variables whose names suggest a secret.
    ///
    /// # Errors
    /// If any of this does not hold.
    pub async fn assert_env(&self, expected: &[&str]) -> Result<(), HarnessError> {
        let config = self.config_env().await?;
        let container = self.container_env().await?;
        let found = |expected: Option<&str>| {
            let config = shown(config.iter().map(String::as_bytes), expected);
            let container = shown(container.iter().map(Vec::as_slice), expected);
            format!("config {config}, container {container}")
        };
        let in_container = |entry: &str| container.iter().any(|found| found == entry.as_bytes());
        for entry in expected {
            let exists = config.iter().any(|found| found == entry) && in_container(entry);
            let subject = "entry of the environment, in config and container";
            let hidden = value::quote_bytes(&hide(entry.as_bytes()));
            self.assert(subject, hidden, found(Some(entry)), exists)?;
        }
        let name = |entry: &[u8]| entry.split(|byte| *byte == b'=').next().map(<[u8]>::to_vec);
        let names: BTreeSet<_> = container.iter().map(|entry| name(entry)).collect();
        let unique = Env::parse(&config).is_ok_and(|env| env.to_entries().len() == config.len());
        self.assert(
            "names in the environment",
            "each once, in config and container".to_owned(),
            found(None),
            unique && names.len() == container.len(),
        )?;
        let missing = config.iter().find(|entry| !in_container(entry)).map(String::as_str);
        let entries = shown(config.iter().map(String::as_bytes), None);
        self.assert(
            "environment of a container",
            format!("all entries of the config, {entries}"),
            shown(container.iter().map(Vec::as_slice), missing),
            missing.is_none(),
        )
    }

    /// Returns the environment of a process in a container, each entry as the bytes that the kernel
    /// passed to it. The image needs no program for this: a program of the guest is mounted into
    /// the container.
    ///
    /// # Errors
    /// If a container of the image cannot be run.
    pub async fn container_env(&self) -> Result<Vec<Vec<u8>>, HarnessError> {
        // In Base64, because engines change output that is not UTF-8.
        let arguments = ["base64", "/proc/self/environ"];
        let env = RunOptions { bare: true, ..RunOptions::tool("/bin/busybox", &arguments) };
        let output = self.run(&env, ENV_TIMEOUT).await?;
        let text: String = output.stdout.split_ascii_whitespace().collect();
        if let (0, Ok(bytes)) = (output.code, STANDARD.decode(text)) {
            return Ok(entries(&bytes));
        }
        let problem = format!(
            "failed to read the environment of a container: exit code {}: {}",
            output.code,
            output.stderr.trim_end()
        );
        Err(EngineError::Unexpected(problem).into())
    }
}

/// Formats the entries of an environment with secrets hidden. One that has the name of the
/// `expected` entry, and another value, is marked if its value is hidden.
fn shown<'e>(entries: impl Iterator<Item = &'e [u8]>, expected: Option<&str>) -> String {
    let expected = expected.unwrap_or_default().as_bytes();
    let show = |entry: &[u8]| {
        let hidden = hide(entry);
        let other =
            matches!(hidden, Cow::Owned(_)) && entry != expected && hide(expected) == hidden;
        let mark = if other { " (another value)" } else { "" };
        format!("{}{mark}", value::quote_bytes(&hidden))
    };
    format!("[{}]", entries.map(show).collect::<Vec<_>>().join(", "))
}

/// Splits an environment into its entries, each of which ends with a zero byte.
pub(super) fn entries(bytes: &[u8]) -> Vec<Vec<u8>> {
    let entries = bytes.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    entries.map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_other_values_than_the_expected_one_marked() {
        let entries = ["A=1", "DB_PASSWORD=hunter2"];
        let shown = |expected| shown(entries.iter().map(|entry| entry.as_bytes()), expected);
        let plain = r#"["A=1", "DB_PASSWORD=<hidden>"]"#;
        assert_eq!(shown(None), plain);
        assert_eq!(shown(Some("DB_PASSWORD=hunter2")), plain);
        assert_eq!(shown(Some("A=2")), plain);
        let other = r#"["A=1", "DB_PASSWORD=<hidden>" (another value)]"#;
        assert_eq!(shown(Some("DB_PASSWORD=other")), other);
    }
}
