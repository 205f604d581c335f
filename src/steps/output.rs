//! The output of a running step: line by line, until a deadline.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use super::event::StepEvent;

/// The number of last lines that an error shows.
const LAST_LINES: usize = 10;
/// The most bytes of a line; a longer one is cut into several.
const LINE_MAX: u64 = 16 << 10;
/// The number of lines that are read ahead.
const QUEUE_LENGTH: usize = 256;

/// Passes lines on, and keeps the last ones for errors.
pub struct Output<'a> {
    on_event: &'a dyn Fn(StepEvent<'_>),
    last: VecDeque<String>,
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("last", &self.last).finish_non_exhaustive()
    }
}

impl<'a> Output<'a> {
    /// An output that passes its lines to `on_event`.
    pub fn new(on_event: &'a dyn Fn(StepEvent<'_>)) -> Self {
        Self { on_event, last: VecDeque::new() }
    }

    /// Adds a line.
    pub fn line(&mut self, line: &str) {
        (self.on_event)(StepEvent::Output(line));
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line.to_owned());
    }

    /// Reports what is being done before the command runs.
    pub fn status(&self, status: &str) {
        (self.on_event)(StepEvent::Status(status));
    }

    /// The last lines.
    pub fn last_lines(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }

    /// Reads lines from `source` until it ends or `deadline` is reached. Returns whether it ended.
    pub fn read_until(&mut self, source: impl Read + Send + 'static, deadline: Instant) -> bool {
        let (sender, lines) = mpsc::sync_channel(QUEUE_LENGTH);
        thread::spawn(move || {
            let mut reader = BufReader::new(source);
            loop {
                let mut line = Vec::new();
                match (&mut reader).take(LINE_MAX).read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => return,
                    Ok(_) if sender.send(line).is_err() => return,
                    Ok(_) => {}
                }
            }
        });
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']))
                }
                Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
    }
}
