//! QEMU's monitor, which controls a VM from outside of the guest (QEMU's QMP reference).

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::vm::VmError;
use crate::vm::instance::channel::Channel;

/// A connection to the monitor of a VM.
pub(in crate::vm) struct Qmp(Channel);

const PEER: &str = "QEMU's monitor";
/// How long QEMU may take to answer; saving and restoring take a fraction of that.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause between attempts to connect.
const RETRY_INTERVAL: Duration = Duration::from_millis(2);

impl Qmp {
    /// Connects as soon as QEMU, which may just have been started, listens on `socket`.
    pub(in crate::vm) async fn connect(socket: &Path) -> Result<Self, VmError> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let mut channel = loop {
            match Channel::connect(PEER, socket).await {
                Err(VmError::File { source, .. })
                    if matches!(
                        source.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                    ) && Instant::now() < deadline =>
                {
                    sleep(RETRY_INTERVAL).await;
                }
                connected => break connected?,
            }
        };
        channel.execute("qmp_capabilities", json!({}), ANSWER_TIMEOUT).await?;
        let capabilities =
            ["x-ignore-shared", "events"].map(|name| json!({ "capability": name, "state": true }));
        let capabilities = json!({ "capabilities": capabilities });
        channel.execute("migrate-set-capabilities", capabilities, ANSWER_TIMEOUT).await?;
        Ok(Self(channel))
    }

    /// Runs `command`.
    pub(in crate::vm) async fn execute(
        &mut self,
        command: &str,
        arguments: Value,
    ) -> Result<Value, VmError> {
        self.0.execute(command, arguments, ANSWER_TIMEOUT).await
    }

    /// Waits until the VM's state is saved or restored completely.
    pub(in crate::vm) async fn wait_for_migration(&mut self) -> Result<(), VmError> {
        loop {
            match self.0.event("MIGRATION", ANSWER_TIMEOUT).await?["status"].as_str() {
                Some("completed") => return Ok(()),
                Some("failed") => {
                    let status = self.execute("query-migrate", json!({})).await?;
                    let problem = status["error-desc"].to_string();
                    let command = "migrate".to_owned();
                    return Err(VmError::Command { peer: PEER, command, problem });
                }
                _ => {}
            }
        }
    }
}
