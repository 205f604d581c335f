//! Names of hosts for containers that run already.

use std::time::Duration;

use super::daemon::Daemon;
use super::error::HarnessError;
use crate::engine::EngineError;

/// Appends the line `$1` to the files that follow. The inodes stay, because they are mounted.
const SCRIPT: &str = r#"line=$1; shift; for file; do printf '%s\n' "$line" >>"$file"; done"#;
/// The time limit for writing the files.
const TIMEOUT: Duration = Duration::from_secs(60);

impl Daemon {
    /// Adds `names` for `address` to `files` of the guest: each is `/etc/hosts` of a container.
    pub(crate) async fn add_host_names(
        &self,
        files: &[&str],
        address: &str,
        names: &[&str],
    ) -> Result<(), HarnessError> {
        let line = format!("{address}\t{}", names.join(" "));
        let arguments = [&["-ec", SCRIPT, "sh", &line], files].concat();
        let mut agent = self.vm().agent(TIMEOUT).await?;
        let output = agent.run("/bin/sh", &arguments, TIMEOUT).await?;
        match output.code {
            Some(0) => Ok(()),
            _ => {
                let problem = output.stderr.trim();
                let problem = format!("failed to write /etc/hosts in the guest: {problem}");
                Err(EngineError::Unexpected(problem).into())
            }
        }
    }
}
