//! QEMU's monitor: what a machine is asked to do from outside (QEMU's QMP reference).

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::vm::VmError;
use crate::vm::instance::channel::Channel;

/// A connection to a machine's monitor.
pub(in crate::vm) struct Qmp(Channel);

/// How long QEMU may take over anything it is asked; saving and restoring take a fraction of that.
const ANSWER: Duration = Duration::from_secs(30);
/// How often a socket that is not there yet is tried.
const PAUSE: Duration = Duration::from_millis(2);

impl Qmp {
    /// Connects as soon as QEMU, which may have been started only now, listens at `socket`.
    pub(in crate::vm) async fn connect(socket: &Path) -> Result<Self, VmError> {
        let deadline = Instant::now() + ANSWER;
        let mut channel = loop {
            match Channel::connect("QEMU's monitor", socket).await {
                Err(VmError::File { source, .. })
                    if matches!(
                        source.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                    ) && Instant::now() < deadline =>
                {
                    sleep(PAUSE).await;
                }
                connected => break connected?,
            }
        };
        channel.ask("qmp_capabilities", json!({}), ANSWER).await?;
        let capabilities =
            ["x-ignore-shared", "events"].map(|name| json!({ "capability": name, "state": true }));
        channel
            .ask("migrate-set-capabilities", json!({ "capabilities": capabilities }), ANSWER)
            .await?;
        Ok(Self(channel))
    }

    /// Asks for `command`.
    pub(in crate::vm) async fn execute(
        &mut self,
        command: &str,
        arguments: Value,
    ) -> Result<Value, VmError> {
        self.0.ask(command, arguments, ANSWER).await
    }

    /// Waits until a saving or restoring that was asked for is complete.
    pub(in crate::vm) async fn migrated(&mut self) -> Result<(), VmError> {
        loop {
            match self.0.event("MIGRATION", ANSWER).await?["status"].as_str() {
                Some("completed") => return Ok(()),
                Some("failed") => {
                    let problem =
                        self.execute("query-migrate", json!({})).await?["error-desc"].to_string();
                    let (peer, command) = ("QEMU's monitor", "migrate".to_owned());
                    return Err(VmError::Channel { peer, command, problem });
                }
                _ => {}
            }
        }
    }
}
