//! Output of commands, and why one could not be started.

use std::io::{self, IsTerminal, Write};
use std::mem;

use crate::cli::exit::ExitWith;
use crate::cli::streams::stderr;
use crate::text::errors::chain;
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
pub(super) fn output(stream: impl Write + IsTerminal, output: &[u8]) -> io::Result<()> {
    let mut printer = Printer::new(stream);
    printer.print(output)?;
    printer.finish()
}

/// Prints output that comes in pieces like [`output`].
pub(super) struct Printer<W> {
    stream: W,
    escapes: bool,
    /// The start of a character whose end has not come yet.
    incomplete: Vec<u8>,
}

impl<W: Write + IsTerminal> Printer<W> {
    pub(super) fn new(stream: W) -> Self {
        Self { escapes: stream.is_terminal(), ..Self::exact(stream) }
    }
}

impl<W: Write> Printer<W> {
    /// Escapes nothing.
    pub(super) fn exact(stream: W) -> Self {
        Self { stream, escapes: false, incomplete: Vec::new() }
    }

    pub(super) fn print(&mut self, output: &[u8]) -> io::Result<()> {
        if self.escapes {
            let mut complete = [self.incomplete.as_slice(), output].concat();
            self.incomplete = complete.split_off(complete.len() - incomplete_length(&complete));
            SafeWriter(&mut self.stream).write_all(&complete)?;
        } else {
            self.stream.write_all(output)?;
        }
        self.stream.flush()
    }

    /// Prints the start of a character whose end has not come.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        SafeWriter(&mut self.stream).write_all(&mem::take(&mut self.incomplete))?;
        self.stream.flush()
    }
}

/// The number of bytes at the end of `output` that are the start of a character in UTF-8.
fn incomplete_length(output: &[u8]) -> usize {
    let end = output.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    let is_incomplete = str::from_utf8(end).is_err_and(|error| error.error_len().is_none());
    if is_incomplete { end.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_comes_in_pieces_is_printed_whole() {
        let mut printer = Printer { escapes: true, ..Printer::exact(Vec::new()) };
        let ship = "🚢".as_bytes();
        let pieces = [b"a\xc3", &b"\xa9\xff"[..], &ship[..2], &ship[2..], b"\xc3", b"b\xe2\x82"];
        for piece in pieces {
            printer.print(piece).unwrap();
        }
        assert_eq!(String::from_utf8_lossy(&printer.stream), r"aé\xff🚢\xc3b");
        printer.finish().unwrap();
        assert_eq!(String::from_utf8_lossy(&printer.stream), r"aé\xff🚢\xc3b\xe2\x82");
    }
}
