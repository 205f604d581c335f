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

pub(in crate::vm) const PEER: &str = "QEMU's monitor";
/// The command in the error of a migration that failed.
pub(in crate::vm) const MIGRATE: &str = "migrate";
/// The most bytes of a line: the longest answers, descriptions of all devices, have some 100 KiB.
const LINE_MAX: usize = 1 << 20;
/// How long QEMU may take to answer; saving and restoring take a fraction of that.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause between attempts to connect.
const RETRY_INTERVAL: Duration = Duration::from_millis(2);

impl Qmp {
    /// Connects as soon as QEMU, which may just have been started, listens on `socket`.
    pub(in crate::vm) async fn connect(socket: &Path) -> Result<Self, VmError> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let mut channel = loop {
            match Channel::connect(PEER, socket, LINE_MAX).await {
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
                    // QEMU exits at once if it cannot restore a VM.
                    let problem = match self.execute("query-migrate", json!({})).await {
                        Ok(status) => status["error-desc"].to_string(),
                        Err(_) => "QEMU reported a failure and exited".to_owned(),
                    };
                    let command = MIGRATE.to_owned();
                    return Err(VmError::Command { peer: PEER, command, problem });
                }
                _ => {}
            }
        }
    }
}
