//! Durations as people write them: `500ms`, `30s`, `1m30s`.

use std::time::Duration;

/// The units in seconds. A unit comes before those that it begins with.
const UNITS: [(&str, f64); 6] =
    [("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];

/// Parses decimal numbers with units, as Go and Dockerfiles write them; a space may come before a
/// unit. `None` if `text` is something else, or the duration is too long.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let (mut rest, mut sum) = (text, 0.0);
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit_and_rest) = rest.split_at(end);
        let number: f64 = number.parse().ok()?;
        let unit_and_rest = unit_and_rest.trim_start();
        let (unit, factor) = UNITS.iter().find(|(unit, _)| unit_and_rest.starts_with(unit))?;
        sum += number * factor;
        rest = &unit_and_rest[unit.len()..];
        if rest.is_empty() {
            return Duration::try_from_secs_f64(sum).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Go, package time: ParseDuration.
    #[test]
    fn a_duration_is_numbers_with_units() {
        for (text, nanoseconds) in [
            ("500ms", 500_000_000),
            ("30s", 30_000_000_000),
            ("1.5 s", 1_500_000_000),
            ("1m30s", 90_000_000_000),
            ("1h0.5m", 3_630_000_000_000),
            ("7us", 7_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_nanos(nanoseconds)), "{text}");
        }
        for text in ["", "30", "s", "-5s", "1.2.3s", "5 min", "5S", "1m 30s", ".s", "1e99h"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
