//! Commands that wait for VMs and engines.

use tokio::signal::unix::{SignalKind, signal};

use super::exit::ExitWith;

/// Runs `command` to its end.
pub(super) fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(command);
    // Dropping the runtime would wait for threads that still wait for a lock or a VM slot.
    runtime.shutdown_background();
    result
}

/// Runs `command` until it ends, or until Ctrl-C or SIGTERM. It is dropped then, and its VMs with
/// it.
pub(super) async fn interruptible<T, E>(
    command: impl Future<Output = Result<T, E>>,
) -> anyhow::Result<T>
where
    anyhow::Error: From<E>,
{
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = command => Ok(result?),
        _ = tokio::signal::ctrl_c() => Err(ExitWith::INTERRUPTED.into()),
        _ = terminate.recv() => Err(ExitWith::TERMINATED.into()),
    }
}
