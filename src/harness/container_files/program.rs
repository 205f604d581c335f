//! Programs in the guest that read and write files of containers.

use std::time::Duration;

use super::request::FileError;
use crate::engine::EngineError;
use crate::harness::daemon::Daemon;
use crate::harness::error::HarnessError;
use crate::vm::VmError;
use crate::vm::instance::RawOutput;

/// The time limit for a program. It ends before that by itself.
const TIMEOUT: Duration = Duration::from_secs(90);
/// The reason why a file cannot be read or written.
pub(super) const ENDED: &str =
    "the container has ended, and this file can be copied only while it runs";
/// The problem of an answer that ends too early.
pub(super) const INCOMPLETE: &str = "the answer of the VM is incomplete";
const PERL: &str = "/usr/bin/perl";
/// The number of the signal that ends a program whose time is over.
const SIGALRM: i64 = 14;

/// Runs a program in the guest to do `action`. Returns its answer, or the reason why it has none.
///
/// # Errors
/// If the guest does not answer, or the container has ended, which is
/// [unsupported](HarnessError::is_unsupported).
pub(super) async fn run(
    daemon: &Daemon,
    action: &str,
    arguments: &[&str],
    input: &[u8],
) -> Result<Result<Vec<u8>, FileError>, HarnessError> {
    let mut agent = daemon.vm().agent(TIMEOUT).await?;
    let output = agent.run_with_input(PERL, arguments, input, TIMEOUT).await;
    answer(output.map_err(|error| about(action, error))?)
}

/// Names the action in an error of a program, in place of the program's source.
fn about(action: &str, error: VmError) -> VmError {
    match error {
        VmError::Command { peer, command, problem } if command.starts_with(PERL) => {
            VmError::Command { peer, command: format!("the program to {action}"), problem }
        }
        error => error,
    }
}

fn answer(output: RawOutput) -> Result<Result<Vec<u8>, FileError>, HarnessError> {
    Ok(match (output.code, output.signal) {
        (Some(0), _) if output.stdout == b"ended" => {
            return Err(EngineError::Unsupported(ENDED).into());
        }
        (Some(0), _) => Ok(output.stdout),
        (_, Some(SIGALRM)) => Err(FileError::Late),
        (_, Some(signal)) => {
            Err(FileError::Other(format!("signal {signal} ended the program in the VM")))
        }
        _ => Err(FileError::Other(failure(&String::from_utf8_lossy(&output.stderr)))),
    })
}

/// Describes the failure of a program. Perl adds the position in its source to messages.
fn failure(messages: &str) -> String {
    let lines = messages.lines().map(|line| line.split(" at -e line ").next().unwrap_or(line));
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    match lines.is_empty() {
        true => "the program in the VM failed without a message".to_owned(),
        false => format!("the program in the VM failed: {}", lines.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(code: Option<i64>, signal: Option<i64>, stdout: &str, stderr: &str) -> RawOutput {
        RawOutput { code, signal, stdout: stdout.into(), stderr: stderr.into() }
    }

    #[test]
    fn failures_of_a_program_name_no_position_in_its_source() {
        let stderr = "setns: Operation not permitted at -e line 49.\nthe process failed\n";
        let expected =
            "the program in the VM failed: setns: Operation not permitted; the process failed";
        let failed = answer(output(Some(255), None, "", stderr)).unwrap().unwrap_err();
        assert_eq!(failed.to_string(), expected);
        let failed = answer(output(Some(1), None, "", "")).unwrap().unwrap_err();
        assert!(failed.to_string().ends_with("failed without a message"), "{failed}");
        assert_eq!(answer(output(None, Some(14), "", "")).unwrap(), Err(FileError::Late));
        assert!(answer(output(Some(0), None, "ended", "")).unwrap_err().is_unsupported());
        assert_eq!(answer(output(Some(0), None, "late", "")).unwrap(), Ok(b"late".to_vec()));
    }

    #[test]
    fn the_error_of_a_program_that_hangs_names_the_action_and_not_the_source() {
        let error = VmError::Command {
            peer: "the guest",
            command: "/usr/bin/perl -e #!/usr/bin/perl\nuse strict;".to_owned(),
            problem: "still running after 90 s".to_owned(),
        };
        let expected = "the guest failed to run the program to read files of the container: still \
                        running after 90 s";
        assert_eq!(about("read files of the container", error).to_string(), expected);
        let error = VmError::Command {
            peer: "the guest agent",
            command: "guest-exec".to_owned(),
            problem: "no answer".to_owned(),
        };
        assert!(about("read files", error).to_string().contains("guest-exec"));
    }
}
