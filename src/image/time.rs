//! Points in time, as in image configs: RFC 3339, whole seconds, UTC.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text;

/// Seconds since 1970-01-01T00:00:00Z, from 0 to the end of the year 9999.
///
/// A tar header cannot hold earlier times, and RFC 3339 cannot write later ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(i64);

/// 9999-12-30T22:00:00Z: in some time zones, later times have a year of five digits.
const LAST: i64 = 253_402_207_200;

/// 2262-04-11T23:47:16Z, the last time in nanoseconds since 1970 that 64 bits can hold.
const LAST_OF_FILE: i64 = i64::MAX / 1_000_000_000;

/// A text or number that is not a valid time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The text does not follow RFC 3339, and is none of the forms that recipes allow.
    #[error(
        "invalid time {}; expected RFC 3339 such as 2024-05-01T12:00:00Z, a date such as \
         2024-05-01, seconds since 1970 such as @1714564800, or \"now\"",
        text::quote(.0)
    )]
    Format(String),
    /// The time is before 1970 or after 9999.
    #[error(
        "{} is out of range; image configs and tar headers hold 1970-01-01 to 9999-12-31",
        text::shorten(.0)
    )]
    Range(String),
}

impl Timestamp {
    /// 1970-01-01T00:00:01Z: the default date of files and images, as in a Nix store.
    pub const DEFAULT: Self = Self(1);

    /// The time `seconds` after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// If it is before 1970 or after 9999.
    pub fn from_seconds(seconds: i64) -> Result<Self, TimeError> {
        if (0..=LAST).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(TimeError::Range(format!("{seconds} s since 1970")))
        }
    }

    /// The modification time of a file, `seconds` after 1970-01-01T00:00:00Z. Earlier times, and
    /// those after 2262, become that one, as container engines set them (moby `pkg/archive`,
    /// containerd `archive`, `boundTime`: times that have no 64-bit number of nanoseconds).
    pub fn of_file(seconds: i64) -> Self {
        match seconds {
            0..=LAST_OF_FILE => Self(seconds),
            _ => Self(0),
        }
    }

    /// Parses a time as recipes write it: RFC 3339, a date and time without an offset or a date
    /// alone, which are in UTC, or `@` and seconds since 1970.
    ///
    /// # Errors
    /// If the text has none of these forms, or the time is before 1970 or after 9999.
    pub fn from_recipe(text: &str) -> Result<Self, TimeError> {
        let format = || TimeError::Format(text.to_owned());
        if let Some(seconds) = text.strip_prefix('@') {
            let digits = seconds.strip_prefix('-').unwrap_or(seconds);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(format());
            }
            let range = || TimeError::Range(text.to_owned());
            let seconds = seconds.parse().map_err(|_| range())?;
            return Self::from_seconds(seconds).map_err(|_| range());
        }
        match text.parse() {
            Err(TimeError::Format(_)) => {}
            parsed => return parsed,
        }
        // A date has ten characters: 2024-05-01.
        let in_utc = match text.len() {
            10 => format!("{text}T00:00:00Z"),
            _ => format!("{text}Z"),
        };
        in_utc.parse().map_err(|error| match error {
            TimeError::Format(_) => format(),
            TimeError::Range(_) => TimeError::Range(text.to_owned()),
        })
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn seconds(self) -> u64 {
        self.0.unsigned_abs()
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// Parses RFC 3339 with any offset; fractions of a second are dropped.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let parsed: jiff::Timestamp =
            text.parse().map_err(|_| TimeError::Format(text.to_owned()))?;
        Self::from_seconds(parsed.as_second()).map_err(|_| TimeError::Range(text.to_owned()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(time) => time.fmt(f),
            Err(_) => write!(f, "{} s since 1970", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_applied_and_fractions_of_a_second_dropped() {
        let time: Timestamp = "2024-05-01T12:00:00.999+02:00".parse().unwrap();
        assert_eq!(time.to_string(), "2024-05-01T10:00:00Z");
        assert_eq!(Timestamp::DEFAULT.to_string(), "1970-01-01T00:00:01Z");
    }

    // The seconds are those that `date -u -d TEXT +%s` of GNU coreutils prints.
    #[test]
    fn recipes_may_have_dates_local_times_and_seconds_in_utc() {
        for (text, seconds) in [
            ("2024-05-01T12:00:00+02:00", 1_714_557_600),
            ("2024-05-01T12:00:00", 1_714_564_800),
            ("2024-05-01 12:00:00", 1_714_564_800),
            ("2024-05-01", 1_714_521_600),
            ("@1714564800", 1_714_564_800),
            ("@0", 0),
        ] {
            assert_eq!(Timestamp::from_recipe(text).unwrap().seconds(), seconds, "{text}");
        }
        for text in ["@", "@+1", "@1.5", "1714564800", "07:32:00", "2024-05", "2024-5-1", "", "é"]
        {
            let parsed = Timestamp::from_recipe(text);
            assert!(matches!(parsed, Err(TimeError::Format(_))), "{text}: {parsed:?}");
        }
        for text in ["@-1", "@99999999999999999999", "1969-12-31", "1969-12-31T23:59:59"] {
            let parsed = Timestamp::from_recipe(text);
            assert!(matches!(parsed, Err(TimeError::Range(_))), "{text}: {parsed:?}");
        }
    }

    #[test]
    fn times_out_of_range_are_rejected() {
        assert!(matches!("1969-12-31T23:59:59Z".parse::<Timestamp>(), Err(TimeError::Range(_))));
        assert!(matches!("yesterday".parse::<Timestamp>(), Err(TimeError::Format(_))));
        assert!(Timestamp::from_seconds(LAST + 1).is_err());
        assert_eq!(Timestamp::from_seconds(LAST).unwrap().to_string(), "9999-12-30T22:00:00Z");
    }
}
