//! Commands that wait for VMs and engines.

use tokio::signal::unix::{Signal, SignalKind, signal};

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
    // Caught before the command starts: it must not be killed while it makes what it has to remove.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = Hangup::catch()?;
    tokio::select! {
        result = command => Ok(result?),
        _ = interrupt.recv() => Err(ExitWith::INTERRUPTED.into()),
        _ = terminate.recv() => Err(ExitWith::TERMINATED.into()),
        () = hangup.recv() => Err(ExitWith::HUNG_UP.into()),
    }
}

/// SIGHUP, which a command gets when its terminal is closed. If it is ignored, as by `nohup`, it
/// stays ignored.
pub(super) struct Hangup(Option<Signal>);

impl Hangup {
    /// Catches the signal from now on.
    pub(super) fn catch() -> std::io::Result<Self> {
        let kind = SignalKind::hangup();
        Ok(Self(if is_ignored(kind) { None } else { Some(signal(kind)?) }))
    }

    /// Waits for the signal.
    pub(super) async fn recv(&mut self) {
        if let Some(hangup) = &mut self.0
            && hangup.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

/// Whether this process ignores a signal (proc(5), `SigIgn`).
fn is_ignored(signal: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal.as_raw_value() - 1)) != 0)
}
