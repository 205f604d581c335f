//! The exit of a VM's QEMU, which is the cause of other errors.

use std::time::Duration;

use tokio::time::timeout;

use super::vm::Vm;
use crate::vm::VmError;

/// The number of lines of the console in errors.
const CONSOLE_LINES: usize = 20;

/// How long it may take until the exit of a QEMU is noticed that has closed its connections.
const EXIT_NOTICE: Duration = Duration::from_millis(300);
/// The exit status of a QEMU that SIGBUS killed.
const SIGBUS: &str = "signal 7";

impl Vm {
    /// Waits until QEMU exits or cannot continue because the host's disk is full, and returns an
    /// error that describes it.
    pub async fn wait_for_exit(&self) -> VmError {
        tokio::select! {
            status = self.process.wait_for_exit() => self.exited(status),
            () = self.host_disk_is_full() => self.host_disk_full(),
        }
    }

    /// Awaits `operation`, or returns an error if QEMU exits first.
    pub(in crate::vm) async fn or_exit<T>(
        &self,
        operation: impl Future<Output = Result<T, VmError>>,
    ) -> Result<T, VmError> {
        tokio::select! {
            biased;
            result = operation => match result {
                // If QEMU exits, that is the cause of the error.
                Err(error) => match timeout(EXIT_NOTICE, self.process.wait_for_exit()).await {
                    Ok(status) => Err(self.exited(status)),
                    Err(_) => Err(error),
                },
                result => result,
            },
            error = self.wait_for_exit() => Err(error),
        }
    }

    fn exited(&self, (status, stderr): (String, String)) -> VmError {
        // QEMU gets SIGBUS if the file of the guest's memory cannot grow.
        if status == SIGBUS && self.is_disk_full() {
            return self.host_disk_full();
        }
        VmError::QemuExited { status, stderr, console: self.console_tail(CONSOLE_LINES) }
    }
}
