//! Access of a guest to the host's loopback interface, which rules in the guest forbid
//! (`vm/guest/files/usr/lib/seatrial/host-rules`).

use std::time::Duration;

use super::Vm;
use crate::vm::VmError;

/// How long the guest may take to remove the rules.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The chain with the rules.
const CHAIN: &str = "SEATRIAL-HOST";

impl Vm {
    /// Lets the guest connect to the host's loopback interface.
    ///
    /// # Errors
    /// If the guest does not answer, or fails to remove the rules.
    pub(in crate::vm) async fn allow_host(&self) -> Result<(), VmError> {
        let mut agent = self.agent(TIMEOUT).await?;
        let arguments = ["-w", "-t", "nat", "-F", CHAIN];
        let output = agent.run("/usr/sbin/iptables", &arguments, TIMEOUT).await?;
        if output.success() {
            return Ok(());
        }
        let (command, problem) = ("iptables".to_owned(), output.stderr.trim().to_owned());
        Err(VmError::Command { peer: "the guest", command, problem })
    }
}
