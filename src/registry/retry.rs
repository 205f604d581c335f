//! When a failed request is repeated, and how long to wait before.

use std::time::{Duration, SystemTime};

use jiff::fmt::rfc2822;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The most attempts of a request.
pub(super) const ATTEMPTS: u32 = 6;
/// The pause after the first attempt; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause, also if a registry asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Whether a request that got `status` may succeed if it is repeated.
pub(super) fn is_temporary(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// The pause after the attempt number `attempt`, which counts from 0: as long as the registry asks
/// for, or else longer each time.
pub(super) fn pause(attempt: u32, headers: Option<&HeaderMap>) -> Duration {
    let asked = headers.and_then(|headers| headers.get(RETRY_AFTER)?.to_str().ok());
    let asked = asked.and_then(|text| retry_after(text, SystemTime::now()));
    asked.unwrap_or_else(|| FIRST_PAUSE * 2_u32.saturating_pow(attempt)).min(LONGEST_PAUSE)
}

/// The pause that a `Retry-After` header means: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::parse(text.trim()).ok()?.timestamp().as_second();
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(date).ok()?);
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9110, section 10.2.3.
    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_700);
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        let date = "Sat, 01 Jan 2000 00:00:00 GMT";
        assert_eq!(retry_after(date, now), Some(Duration::from_secs(100)));
        assert_eq!(retry_after(date, SystemTime::now()), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn pauses_grow_and_are_limited() {
        assert_eq!(pause(0, None), Duration::from_millis(200));
        assert_eq!(pause(3, None), Duration::from_millis(1600));
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "100000".parse().unwrap());
        assert_eq!(pause(0, Some(&headers)), LONGEST_PAUSE);
        headers.insert(RETRY_AFTER, "0".parse().unwrap());
        assert_eq!(pause(5, Some(&headers)), Duration::ZERO);
    }
}
