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

/// Runs `command` until it ends, or until Ctrl-C, SIGTERM or SIGHUP. It is dropped then, and its
/// VMs with it.
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
        () = hangup() => Err(ExitWith::HUNG_UP.into()),
    }
}

/// Waits for SIGHUP, which a command gets when its terminal is closed. If it is ignored, as by
/// `nohup`, it stays ignored.
pub(super) async fn hangup() {
    if !is_ignored(SignalKind::hangup())
        && let Ok(mut hangup) = signal(SignalKind::hangup())
        && hangup.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

/// Whether this process ignores a signal (proc(5), `SigIgn`).
fn is_ignored(signal: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal.as_raw_value() - 1)) != 0)
}
