//! The timeline of a start: which event happened when.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// An event of a timeline. Its times are serialized in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineEvent {
    /// The host's time since the start.
    #[serde(with = "seconds")]
    pub at: Duration,
    /// The time of the guest's monotonic clock, if it is known.
    #[serde(with = "seconds::option")]
    pub guest: Option<Duration>,
    /// The event.
    pub what: String,
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub(super) fn serialize<S: Serializer>(
        time: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.as_secs_f64().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(de::Error::custom)
    }

    pub(super) mod option {
        use super::*;

        pub(in super::super) fn serialize<S: Serializer>(
            time: &Option<Duration>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            time.map(|time| time.as_secs_f64()).serialize(serializer)
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Duration>, D::Error> {
            let seconds = Option::<f64>::deserialize(deserializer)?;
            seconds
                .map(|seconds| Duration::try_from_secs_f64(seconds).map_err(de::Error::custom))
                .transpose()
        }
    }
}

/// Events in the order of time, counted from a start.
#[derive(Clone, Debug)]
pub struct Timeline {
    start: Instant,
    events: Vec<TimelineEvent>,
}

impl Timeline {
    /// An empty timeline that starts at `start`.
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, events: Vec::new() }
    }

    /// Adds an event at the start, when the guest's clock was `guest`.
    pub(crate) fn add_start(&mut self, what: impl Into<String>, guest: Duration) {
        self.events
            .insert(0, TimelineEvent { at: Duration::ZERO, guest: Some(guest), what: what.into() });
    }

    /// Adds an event that happens now, with the time of the guest's clock if it is known.
    pub(crate) fn add(&mut self, what: impl Into<String>, guest: Option<Duration>) {
        self.events.push(TimelineEvent { at: self.start.elapsed(), guest, what: what.into() });
    }

    /// Adds an event that happened when the guest's clock was `guest`. The host's time is computed
    /// from an event for which both times are known; without one, nothing is added.
    pub(crate) fn add_guest_event(&mut self, what: impl Into<String>, guest: Duration) {
        let both = self.events.iter().find_map(|event| Some((event.at, event.guest?)));
        let Some((at, clock)) = both else { return };
        let at = (at + guest).saturating_sub(clock);
        let index = self.events.partition_point(|event| event.at <= at);
        self.events.insert(index, TimelineEvent { at, guest: Some(guest), what: what.into() });
    }

    /// The events, earliest first.
    pub fn events(&self) -> &[TimelineEvent] {
        &self.events
    }

    /// The host's time of the event `what`.
    pub fn time_of(&self, what: &str) -> Option<Duration> {
        self.events.iter().find(|event| event.what == what).map(|event| event.at)
    }
}

impl fmt::Display for Timeline {
    /// Writes one line for each event.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events.iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}

impl fmt::Display for TimelineEvent {
    /// Writes the host's time, the guest's time and the event.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, guest, what } = self;
        let guest = guest.map_or(String::new(), |guest| format!("{:.2}", guest.as_secs_f64()));
        write!(f, "{:8.3} s  {guest:>7}  {what}", at.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_with_the_guests_time_is_placed_by_the_hosts_clock() {
        let mut timeline = Timeline::new(Instant::now());
        timeline.add_guest_event("without a reference", Duration::from_secs(1));
        timeline.events = [(1, None, "first"), (9, Some(6), "last")]
            .map(|(at, guest, what)| TimelineEvent {
                at: Duration::from_secs(at),
                guest: guest.map(Duration::from_secs),
                what: what.to_owned(),
            })
            .to_vec();
        timeline.add_guest_event("between", Duration::from_secs(2));
        let seen: Vec<_> = timeline
            .events()
            .iter()
            .map(|event| (event.at.as_secs(), event.what.as_str()))
            .collect();
        assert_eq!(seen, [(1, "first"), (5, "between"), (9, "last")]);
    }
}
