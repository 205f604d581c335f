//! Programs in the guest that read and write files of containers.

use std::time::Duration;

use crate::engine::EngineError;
use crate::harness::daemon::Daemon;
use crate::harness::error::HarnessError;

/// The time limit for a program. It ends before that by itself.
const TIMEOUT: Duration = Duration::from_secs(90);
/// The reason why a file cannot be read or written.
pub(super) const ENDED: &str =
    "the container has ended, and this file can be copied only while it runs";
/// The problem of an answer that ends too early.
pub(super) const INCOMPLETE: &str = "the answer of the VM is incomplete";
/// The problem of a program whose time is over.
pub(super) const LATE: &str =
    "it was not done within 60 s; the file system or the kernel does not answer";

/// Runs a program in the guest. Returns its answer, or a sentence that says why it has none.
///
/// # Errors
/// If the guest does not answer, or the container has ended, which is
/// [unsupported](HarnessError::is_unsupported).
pub(super) async fn run(
    daemon: &Daemon,
    arguments: &[&str],
    input: &[u8],
) -> Result<Result<Vec<u8>, String>, HarnessError> {
    let mut agent = daemon.vm().agent(TIMEOUT).await?;
    let output = agent.run_with_input("/usr/bin/perl", arguments, input, TIMEOUT).await?;
    Ok(match (output.code, output.signal) {
        (Some(0), _) if output.stdout == b"ended" => {
            return Err(EngineError::Unsupported(ENDED).into());
        }
        (Some(0), _) => Ok(output.stdout),
        (_, Some(SIGALRM)) => Err(LATE.to_owned()),
        (_, Some(signal)) => Err(format!("signal {signal} ended the program in the VM")),
        _ => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    })
}

/// The number of the signal that ends a program whose time is over.
const SIGALRM: i64 = 14;
