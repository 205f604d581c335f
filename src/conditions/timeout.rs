//! Time limits, written as a number of seconds or as text with a unit.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::document::duration;
use crate::text;

/// A time limit: a number of seconds, or text with a unit such as `"500ms"`, `"5s"` or `"2m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Written")]
#[schemars(with = "Written")]
pub struct Timeout(Duration);

/// A time limit as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "invalid duration; write seconds, or text such as \"500ms\"")]
enum Written {
    /// A number of seconds.
    Seconds(f64),
    /// Numbers with units, such as `ms`, `s`, `m` or `h`.
    Text(String),
}

/// The longest time limit: a point in time beyond it might not exist.
const MAX: Duration = Duration::from_secs(24 * 3600);

impl Timeout {
    /// A time limit in seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A time limit in milliseconds.
    pub(crate) fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds).min(MAX))
    }

    /// The duration.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Timeout {
    /// This time limit, or 24 hours if that is shorter.
    fn from(duration: Duration) -> Self {
        Self(duration.min(MAX))
    }
}

impl TryFrom<Written> for Timeout {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let (shown, duration) = match written {
            Written::Seconds(seconds) => {
                (seconds.to_string(), Duration::try_from_secs_f64(seconds).ok())
            }
            Written::Text(text) => (text::quote(&text), duration::parse(&text)),
        };
        let duration = duration.ok_or_else(|| {
            format!("invalid duration {shown}; write seconds, or text such as \"500ms\" or \"2m\"")
        })?;
        match () {
            () if duration > MAX => {
                Err(format!("duration {shown} is too long; at most 24h is possible"))
            }
            // Nothing is complete in no time.
            () if duration.is_zero() => {
                Err(format!("duration {shown} is too short; it must be more than zero"))
            }
            () => Ok(Self(duration)),
        }
    }
}

impl fmt::Display for Timeout {
    /// Writes the time limit in seconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Timeout, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_duration_is_a_number_of_seconds_or_text_with_a_unit() {
        for (json, milliseconds, shown) in [
            ("5", 5000, "5 s"),
            ("0.25", 250, "0.25 s"),
            ("\"500ms\"", 500, "0.5 s"),
            ("\"5s\"", 5000, "5 s"),
            ("\"1.5 s\"", 1500, "1.5 s"),
            ("\"2m\"", 120_000, "120 s"),
            ("\"1m30s\"", 90_000, "90 s"),
            ("\"24h\"", 86_400_000, "86400 s"),
        ] {
            let timeout = parse(json).unwrap();
            assert_eq!(timeout.duration(), Duration::from_millis(milliseconds), "{json}");
            assert_eq!(timeout.to_string(), shown);
        }
    }

    #[test]
    fn another_duration_is_an_error_that_shows_it() {
        for (json, problem) in [
            ("\"5\"", "invalid duration \"5\"; write seconds, or text such as \"500ms\" or \"2m\""),
            ("\"-5s\"", "invalid duration \"-5s\"; write seconds, or"),
            ("\"5 min\"", "invalid duration \"5 min\"; write seconds, or"),
            ("\"1.2.3s\"", "invalid duration \"1.2.3s\"; write seconds, or"),
            ("-1", "invalid duration -1; write seconds, or"),
            ("[]", "invalid duration; write seconds, or text such as \"500ms\""),
            ("1e300", "invalid duration 1"),
            ("0", "duration 0 is too short; it must be more than zero"),
            ("\"0s\"", "duration \"0s\" is too short"),
            ("1e-12", "duration 0.000000000001 is too short"),
            ("86401", "duration 86401 is too long; at most 24h is possible"),
            ("\"25h\"", "duration \"25h\" is too long; at most 24h is possible"),
        ] {
            let error = parse(json).unwrap_err();
            assert!(error.starts_with(problem), "{json}: {error}");
        }
    }
}
