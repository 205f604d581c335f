//! The standard streams: what is printed is escaped, because it may contain names and text that
//! others chose. JSON is escaped so that its values stay the same.

use std::io::{self, ErrorKind, Stderr, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::text::{self, SafeWriter};

/// Standard output for text: control characters are escaped.
#[allow(clippy::disallowed_methods)]
pub(in crate::cli) fn stdout() -> SafeWriter<impl Write> {
    SafeWriter(NamedStdout(io::stdout()))
}

/// Standard output, whose errors say that it is meant.
struct NamedStdout(Stdout);

impl Write for NamedStdout {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer).map_err(of_stdout)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(of_stdout)
    }
}

/// Adds to an error, unless it is none for the user, that standard output cannot be written.
fn of_stdout(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::Interrupted | ErrorKind::WouldBlock => error,
        kind => io::Error::new(kind, format!("failed to write to standard output: {error}")),
    }
}

/// Standard error, for text like [`stdout`].
#[allow(clippy::disallowed_methods)]
pub(in crate::cli) fn stderr() -> SafeWriter<Stderr> {
    SafeWriter(io::stderr())
}

/// Standard output for bytes that must not change, such as an archive.
#[allow(clippy::disallowed_methods)]
pub(in crate::cli) fn raw_stdout() -> Stdout {
    io::stdout()
}

/// Whether only results and errors are printed (`--quiet`).
static QUIET: AtomicBool = AtomicBool::new(false);

/// Sets whether only results and errors are printed.
pub(in crate::cli) fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Whether only results and errors are printed.
pub(in crate::cli) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Standard error for notes, warnings and summaries, which `--quiet` leaves out.
pub(in crate::cli) fn messages() -> Box<dyn Write> {
    match is_quiet() {
        true => Box::new(io::sink()),
        false => Box::new(stderr()),
    }
}

/// Whether progress lines are shown: not with `--quiet`, not in a Nix build, whose log keeps every
/// line, and not on terminals that cannot redraw a line (`TERM=dumb`).
pub(in crate::cli) fn shows_progress() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    !is_quiet() && !is_set("NIX_BUILD_TOP") && !is_dumb
}

/// Standard error for bytes that must not change.
#[cfg(feature = "vm")]
#[allow(clippy::disallowed_methods)]
pub(in crate::cli) fn raw_stderr() -> Stderr {
    io::stderr()
}

/// Formats `value` as one line of JSON.
#[cfg(feature = "vm")]
pub(in crate::cli) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(text::json(&serde_json::to_string(value)?))
}

/// Formats `value` as indented JSON.
pub(in crate::cli) fn pretty_json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(text::json(&serde_json::to_string_pretty(value)?))
}
