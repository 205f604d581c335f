//! Progress lines: on standard error, and only if that is a terminal that can show them.

#[cfg(any(feature = "registry", feature = "vm"))]
use std::io::Write;
#[cfg(any(feature = "registry", feature = "vm"))]
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[cfg(any(feature = "registry", feature = "vm"))]
use indicatif::WeakProgressBar;
use indicatif::{ProgressBar, ProgressStyle};

#[cfg(any(feature = "registry", feature = "vm"))]
use super::streams::messages;
use super::streams::shows_progress;
use crate::text;

const REDRAW_INTERVAL: Duration = Duration::from_millis(120);

/// The number of bytes that a build has written. Disappears when dropped.
pub(super) struct BuildProgress(ProgressBar);

impl BuildProgress {
    /// Shows the progress of the image called `name`.
    pub(super) fn start(name: &str) -> Self {
        let bar = bar("{spinner} {msg}: {binary_bytes}, {binary_bytes_per_sec}");
        bar.set_message(text::shorten(name).into_owned());
        bar.enable_steady_tick(REDRAW_INTERVAL);
        Self(bar)
    }

    /// Adds `bytes` to the number shown.
    pub(super) fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for BuildProgress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// The current step of a command, and how long the command has run. Shows nothing until it is set,
/// and disappears when dropped.
#[cfg(feature = "vm")]
pub(super) struct StatusLine(ProgressBar);

#[cfg(feature = "vm")]
impl StatusLine {
    pub(super) fn new() -> Self {
        Self(bar("{spinner} {elapsed:>3} {wide_msg}"))
    }

    /// Shows `status` instead of the previous one.
    pub(super) fn set(&self, status: impl AsRef<str>) {
        self.0.set_message(text::escape(status.as_ref()).into_owned());
        self.0.enable_steady_tick(REDRAW_INTERVAL);
    }

    /// Prints something above the line.
    pub(super) fn print_above<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

#[cfg(feature = "vm")]
impl Drop for StatusLine {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// The lines that are shown.
#[cfg(any(feature = "registry", feature = "vm"))]
static SHOWN: Mutex<Vec<WeakProgressBar>> = Mutex::new(Vec::new());

/// Prints a note on standard error, above the line that is shown.
#[cfg(any(feature = "registry", feature = "vm"))]
pub(super) fn print_note(note: &str) {
    // The command goes on, whether this can be printed or not.
    let print = || drop(writeln!(messages(), "note: {note}"));
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    match shown.iter().rev().find_map(WeakProgressBar::upgrade) {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

fn bar(template: &str) -> ProgressBar {
    if !shows_progress() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    #[cfg(any(feature = "registry", feature = "vm"))]
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner).push(bar.downgrade());
    bar
}
