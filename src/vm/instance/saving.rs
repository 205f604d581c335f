//! Saves a running VM: waits until it is idle, writes its devices' state, and moves its files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::net::UnixListener;
use tokio::time::{Instant, sleep};

use crate::vm::VmError;
use crate::vm::folders::create_file;
use crate::vm::instance::Vm;
use crate::vm::instance::parts::STATE;
use crate::vm::instance::tls;

/// How long QEMU may take to exit once the VM is saved.
const EXIT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a VM that is to be saved may take to become idle.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval in which a VM's CPU time is compared to decide whether it is idle.
const IDLE_INTERVAL: Duration = Duration::from_millis(400);

/// Waits for a limited time until a ready VM is idle: unfinished work would delay the first answer
/// of every VM that is restored from the snapshot.
pub(super) async fn wait_until_idle(vm: &Vm) -> Result<(), VmError> {
    let deadline = Instant::now() + IDLE_TIMEOUT;
    let mut before = vm.cpu_time();
    while Instant::now() < deadline {
        sleep(IDLE_INTERVAL).await;
        let now = vm.cpu_time();
        if now.saturating_sub(before) < IDLE_INTERVAL / 8 {
            break;
        }
        before = now;
    }
    Ok(())
}

/// Stops the VM's CPUs, writes the state of its devices to `folder`, and has QEMU exit. The memory
/// is in `folder` already.
pub(super) async fn save(vm: &Vm, folder: &Path) -> Result<(), VmError> {
    let socket = vm.folder().join("state.sock");
    let listener = UnixListener::bind(&socket).map_err(VmError::file("listen on", &socket))?;
    fs::set_permissions(&socket, Permissions::from_mode(0o600))
        .map_err(VmError::file("set the mode of", &socket))?;
    let mut qmp = vm.qmp().await?;
    qmp.execute("stop", json!({})).await?;
    qmp.execute("migrate", json!({ "uri": format!("unix:{}", socket.display()) })).await?;
    let state = folder.join(STATE);
    let mut to = tokio::fs::File::from_std(create_file(&state)?);
    let received = async {
        let (mut from, _) = listener.accept().await?;
        tokio::io::copy(&mut from, &mut to).await?;
        to.sync_all().await
    };
    // If the state cannot be written, as on a full disk, QEMU cannot send it either.
    let received = async { received.await.map_err(VmError::file("write", &state)) };
    tokio::try_join!(received, qmp.wait_for_migration())?;
    // When QEMU exits, it writes the cached blocks of its disks.
    qmp.execute("quit", json!({})).await.map(drop)
}

/// Waits until the QEMU of a saved VM exits, and moves certificates and `files` to `folder`.
pub(super) async fn take_files(vm: Vm, folder: &Path, files: &[&str]) -> Result<(), VmError> {
    let exited = tokio::time::timeout(EXIT_TIMEOUT, vm.wait_for_exit()).await;
    exited.map_err(|_| VmError::Command {
        peer: "QEMU's monitor",
        command: "quit".to_owned(),
        problem: format!("QEMU did not exit within {} s", EXIT_TIMEOUT.as_secs()),
    })?;
    for name in tls::CLIENT_FILES.iter().chain(files) {
        let from = vm.folder().join(name);
        fs::rename(&from, folder.join(name)).map_err(VmError::file("move", &from))?;
    }
    Ok(())
}
