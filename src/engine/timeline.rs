//! What was true when, while one waited.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Something that became true. Written out, its times are seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When the host saw it, since the start.
    #[serde(with = "seconds")]
    pub at: Duration,
    /// What the guest's monotonic clock said then, where it was asked.
    #[serde(with = "seconds::option")]
    pub guest: Option<Duration>,
    /// What.
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

/// Events in order, each with the time since the start.
#[derive(Clone, Debug)]
pub struct Timeline {
    start: Instant,
    events: Vec<Event>,
}

impl Timeline {
    /// Begins at `start`.
    pub fn since(start: Instant) -> Self {
        Self { start, events: Vec::new() }
    }

    /// Notes that `what` was true at the start, when the guest's clock said `guest`.
    pub fn begin(&mut self, what: impl Into<String>, guest: Duration) {
        self.events.insert(0, Event { at: Duration::ZERO, guest: Some(guest), what: what.into() });
    }

    /// Notes that `what` is true now, while the guest's clock, if it was asked, says `guest`.
    pub fn note(&mut self, what: impl Into<String>, guest: Option<Duration>) {
        self.events.push(Event { at: self.start.elapsed(), guest, what: what.into() });
    }

    /// Puts in what became true in the guest when its monotonic clock said `guest`. The time on the host follows
    /// from an event that both clocks are known of; without one nothing is put in.
    pub fn insert(&mut self, what: impl Into<String>, guest: Duration) {
        let both = self.events.iter().find_map(|event| Some((event.at, event.guest?)));
        let Some((at, clock)) = both else { return };
        let at = (at + guest).saturating_sub(clock);
        let place = self.events.partition_point(|event| event.at <= at);
        self.events.insert(place, Event { at, guest: Some(guest), what: what.into() });
    }

    /// Puts in what `other`, with the same start, has noted.
    pub fn merge(&mut self, other: Self) {
        self.events.extend(other.events);
        self.events.sort_by_key(|event| event.at);
    }

    /// The events, earliest first.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// When `what` became true.
    pub fn when(&self, what: &str) -> Option<Duration> {
        self.events.iter().find(|event| event.what == what).map(|event| event.at)
    }
}

impl fmt::Display for Timeline {
    /// A line an event: seconds since the start, the guest's clock, what was true.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events.iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}

impl fmt::Display for Event {
    /// Seconds since the start, the guest's clock, what was true.
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
    fn what_the_guest_dates_is_put_where_it_belongs_on_the_hosts_clock() {
        let mut timeline = Timeline::since(Instant::now());
        timeline.insert("nothing to go by", Duration::from_secs(1));
        timeline.events = [(1, None, "first"), (9, Some(6), "last")]
            .map(|(at, guest, what)| Event {
                at: Duration::from_secs(at),
                guest: guest.map(Duration::from_secs),
                what: what.to_owned(),
            })
            .to_vec();
        timeline.insert("between", Duration::from_secs(2));
        let seen: Vec<_> = timeline
            .events()
            .iter()
            .map(|event| (event.at.as_secs(), event.what.as_str()))
            .collect();
        assert_eq!(seen, [(1, "first"), (5, "between"), (9, "last")]);
    }
}
