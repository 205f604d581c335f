//! Output of commands, and why one could not be started.

use std::io::{self, IsTerminal, Write};

use crate::cli::exit::ExitWith;
use crate::cli::streams::stderr;
use crate::errors::chain;
use crate::text::{self, SafeWriter};
use crate::vm::VmError;

/// The exit codes of shells and of `docker exec` for a program that is missing, and for one that
/// cannot be executed.
const NOT_FOUND: ExitWith = ExitWith(127);
const NOT_EXECUTABLE: ExitWith = ExitWith(126);

/// Prints that the guest has no such program, or cannot execute it, and returns the exit code.
pub(super) fn not_started(error: &VmError) -> io::Result<ExitWith> {
    let missing = error.to_string().contains("No such file");
    writeln!(stderr(), "seatrial: {}", text::message(&chain(error)))?;
    Ok(if missing { NOT_FOUND } else { NOT_EXECUTABLE })
}

/// Prints the output of the command: exactly for a program, escaped for a terminal.
pub(super) fn output(mut stream: impl Write + IsTerminal, output: &[u8]) -> io::Result<()> {
    match stream.is_terminal() {
        true => SafeWriter(stream).write_all(output),
        false => stream.write_all(output),
    }
}
