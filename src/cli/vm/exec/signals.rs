//! The signals of this process while a command runs in the guest.

use std::future::pending;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::exit::ExitWith;
use crate::cli::runtime::Hangup;

/// The signals that end this process, and with it the command.
pub(super) struct EndingSignals {
    /// Ctrl-C, unless it is passed to the command.
    pub(super) interrupt: Option<Signal>,
    quit: Signal,
    terminate: Signal,
    hangup: Hangup,
}

impl EndingSignals {
    /// Catches the signals from now on.
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: Some(signal(SignalKind::interrupt())?),
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: Hangup::catch()?,
        })
    }

    /// Waits for one of the signals, and returns its exit code.
    pub(super) async fn recv(&mut self) -> ExitWith {
        tokio::select! {
            () = next(&mut self.interrupt) => ExitWith::INTERRUPTED,
            _ = self.quit.recv() => ExitWith::QUIT,
            _ = self.terminate.recv() => ExitWith::TERMINATED,
            () = self.hangup.recv() => ExitWith::HUNG_UP,
        }
    }
}

/// Waits for a signal; forever, if none is caught.
pub(super) async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => pending().await,
    }
}
