//! The scratch disk of a VM, and the disk of the host that it is on.

use std::time::Duration;

use serde_json::json;
use tokio::time::{sleep, timeout};

use super::vm::{ANSWER_TIMEOUT, Vm};
use crate::vm::VmError;
use crate::vm::folders::free_space;

/// How long the guest may take to grow a file system.
const RESIZE_TIMEOUT: Duration = Duration::from_secs(120);
/// How often the free space of the host's disk is read.
const DISK_INTERVAL: Duration = Duration::from_millis(500);
/// A disk with fewer free bytes counts as full: file systems keep some for themselves.
const FULL_DISK: u64 = 16 << 20;
/// A disk with fewer free bytes may be full before its free space is read again.
const LOW_DISK: u64 = 1 << 30;

impl Vm {
    /// Limits the throughput of the scratch disk to `bytes` a second.
    ///
    /// # Errors
    /// If QEMU does not answer.
    pub async fn throttle_disk(&self, bytes: u64) -> Result<(), VmError> {
        let unlimited = ["bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"]
            .map(|name| (name.to_owned(), json!(0)));
        let mut limits = serde_json::Map::from_iter(unlimited);
        limits.extend([("device".to_owned(), json!("scratch")), ("bps".to_owned(), json!(bytes))]);
        self.qmp().await?.execute("block_set_io_throttle", limits.into()).await.map(drop)
    }

    /// Grows the file system of the scratch disk to the size of the disk (resize2fs(8)).
    ///
    /// # Errors
    /// If the guest does not answer, or fails to do so.
    pub(in crate::vm) async fn grow_file_system(&self) -> Result<(), VmError> {
        let mut agent = self.agent(ANSWER_TIMEOUT).await?;
        let output = agent.run("resize2fs", &["/dev/vdb"], RESIZE_TIMEOUT).await?;
        if output.success() {
            return Ok(());
        }
        let (command, problem) = ("resize2fs".to_owned(), output.stderr.trim().to_owned());
        Err(VmError::Command { peer: "the guest", command, problem })
    }

    /// Waits until QEMU has stopped the guest because it could not write to a disk of the VM, and
    /// the host's disk is full. If the disk has space again by the time that this is noticed, the
    /// guest continues, which QEMU does only on command.
    pub(super) async fn host_disk_is_full(&self) {
        let mut was_low = false;
        loop {
            sleep(DISK_INTERVAL).await;
            let is_low = !self.disk_has_space(LOW_DISK);
            if (is_low || was_low) && self.is_stopped_by_disk().await {
                if self.is_disk_full() {
                    return;
                }
                let resumed =
                    async { self.qmp().await?.execute("cont", json!({})).await.map(drop) };
                // If it fails, what waits for the guest says so.
                let _ = timeout(ANSWER_TIMEOUT, resumed).await;
            }
            was_low = is_low;
        }
    }

    /// Whether QEMU has stopped the guest because it could not write to a disk of the VM.
    async fn is_stopped_by_disk(&self) -> bool {
        let status = timeout(ANSWER_TIMEOUT, async {
            self.qmp().await?.execute("query-status", json!({})).await
        });
        matches!(status.await, Ok(Ok(status)) if status["status"] == "io-error")
    }

    /// Whether the disk that the VM's folder is on has this many free bytes.
    fn disk_has_space(&self, bytes: u64) -> bool {
        free_space(self.folder()).map_or(true, |free| free >= bytes)
    }

    /// Whether the disk that the VM's folder is on is full.
    pub(super) fn is_disk_full(&self) -> bool {
        !self.disk_has_space(FULL_DISK)
    }

    pub(super) fn host_disk_full(&self) -> VmError {
        VmError::HostDiskFull { folder: self.folder().to_owned() }
    }
}
