//! The time between attempts of a command, `retry_delay`.

use std::time::Duration;

use serde_json::Value;

/// The delay if none is given, or one of zero or less (goss, `resource/retry.go`).
const DEFAULT: Duration = Duration::from_secs(1);
/// The units of durations in seconds (Go, `time.ParseDuration`).
const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6), // U+00B5
    ("μs", 1e-6), // U+03BC
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

/// Reads the time before further attempts: milliseconds, or text with a unit; `None` if malformed.
pub(super) fn retry_delay(written: Option<&Value>) -> Option<Duration> {
    let seconds = match written {
        None | Some(Value::Null) => 0.0,
        Some(Value::Number(milliseconds)) => milliseconds.as_f64()? / 1000.0,
        Some(Value::String(text)) => match text.trim() {
            "" => 0.0,
            text => match seconds_with_units(text) {
                Some(seconds) => seconds,
                None => text.parse::<f64>().ok()? / 1000.0,
            },
        },
        Some(_) => return None,
    };
    // Go counts nanoseconds in 64 bits.
    if seconds > i64::MAX as f64 / 1e9 {
        return None;
    }
    let delay = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    Some(if delay.is_zero() { DEFAULT } else { delay })
}

/// Parses a duration in Go's syntax, such as `1m30s` or `-.5s`, to seconds.
fn seconds_with_units(text: &str) -> Option<f64> {
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_of_number = |c: char| c.is_ascii_digit() || c == '.';
    let mut seconds = 0.0;
    loop {
        let (number, after) = rest.split_at(rest.find(|c| !is_of_number(c))?);
        let (unit, after) = after.split_at(after.find(is_of_number).unwrap_or(after.len()));
        let (_, in_seconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        seconds += number.parse::<f64>().ok()? * in_seconds;
        rest = after;
        if rest.is_empty() {
            return Some(sign * seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_delay_is_read_as_goss_and_go_read_it() {
        let milliseconds = |number| Some(Duration::from_millis(number));
        for (written, expected) in [
            (json!(null), milliseconds(1000)),
            (json!(""), milliseconds(1000)),
            (json!(250), milliseconds(250)),
            (json!("250"), milliseconds(250)),
            (json!(0), milliseconds(1000)),
            (json!(-5), milliseconds(1000)),
            (json!("-5"), milliseconds(1000)),
            (json!("-2s"), milliseconds(1000)),
            (json!("0"), milliseconds(1000)),
            (json!("500ms"), milliseconds(500)),
            (json!(".5s"), milliseconds(500)),
            (json!("+2.s"), milliseconds(2000)),
            (json!(" 1m1.5s "), milliseconds(61_500)),
            (json!("1h"), milliseconds(3_600_000)),
            (json!("2000µs"), milliseconds(2)),
            (json!("s"), None),
            (json!(".s"), None),
            (json!("1 s"), None),
            (json!("1d"), None),
            (json!("1s2"), None),
            (json!("PT1S"), None),
            (json!("-"), None),
            (json!("9999999h"), None),
            (json!(true), None),
        ] {
            assert_eq!(retry_delay(Some(&written)), expected, "{written}");
        }
    }
}
