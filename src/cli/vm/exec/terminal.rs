//! The terminal of this process: raw while a command in the guest uses it.

use std::io::{self, IsTerminal};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::cli::streams::raw_stdout;
use crate::vm::instance::WindowSize;

/// The size of terminals if this process has none.
const DEFAULT: WindowSize = WindowSize { rows: 24, columns: 80 };

/// Standard input as a terminal that passes every key on. Dropping this restores the terminal.
#[derive(Debug)]
pub(super) struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    pub(super) fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Returns the size of this process's terminal.
pub(super) fn window_size() -> WindowSize {
    let (stdin, stdout) = (io::stdin(), raw_stdout());
    let size = if stdin.is_terminal() { tcgetwinsize(stdin) } else { tcgetwinsize(stdout) };
    // A terminal that nobody has given a size, such as a serial console, has none.
    match size {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
            WindowSize { rows: size.ws_row, columns: size.ws_col }
        }
        _ => DEFAULT,
    }
}
