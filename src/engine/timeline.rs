//! What was true when, while one waited.

use std::fmt;
use std::time::{Duration, Instant};

/// Events in order, each with the time since the start.
#[derive(Clone, Debug)]
pub struct Timeline {
    start: Instant,
    events: Vec<(Duration, String)>,
}

impl Timeline {
    /// Begins at `start`.
    pub fn since(start: Instant) -> Self {
        Self { start, events: Vec::new() }
    }

    /// Notes that `event` is true now.
    pub fn note(&mut self, event: impl Into<String>) {
        self.events.push((self.start.elapsed(), event.into()));
    }

    /// The events, earliest first.
    pub fn events(&self) -> &[(Duration, String)] {
        &self.events
    }

    /// When `event` was noted.
    pub fn when(&self, event: &str) -> Option<Duration> {
        self.events.iter().find(|(_, noted)| noted == event).map(|(at, _)| *at)
    }
}

impl fmt::Display for Timeline {
    /// A line an event: seconds, then what was true.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events.iter().try_for_each(|(at, event)| writeln!(f, "{:8.3} s  {event}", at.as_secs_f64()))
    }
}
