//! When a failed request is repeated, and how long to wait before.
//!
//! Each place that repeats requests decides which failures may pass; [`Attempts`] has the rest.

use std::time::{Duration, SystemTime};

use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::RegistryError;
use super::notices::Notices;

/// The most attempts of a request.
pub(super) const ATTEMPTS: u32 = 6;
/// The progress of a transfer that gives it all attempts again.
const PROGRESS: u64 = 1 << 20;
/// The pause after the first attempt; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause, also if a registry asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Whether a request that got `status` may succeed if it is repeated.
pub(super) fn is_temporary(status: StatusCode) -> bool {
    // 501 and 505 are about requests that a server will never answer. Proxies have numbers of their
    // own, such as 520.
    matches!(status.as_u16(), 408 | 429 | 500 | 502..=504 | 506..=599)
}

/// The pause after the attempt number `attempt`, which counts from 0: as long as `asked`, or else
/// longer each time.
pub(super) fn pause(attempt: u32, asked: Option<Duration>) -> Duration {
    let doubled = || FIRST_PAUSE * 2_u32.saturating_pow(attempt);
    asked.unwrap_or_else(doubled).min(LONGEST_PAUSE)
}

/// The pause that the registry asks for.
pub(super) fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    Some(retry_after(text, SystemTime::now())?.min(LONGEST_PAUSE))
}

/// The attempts of a request or a transfer. Those of a transfer start again while it gets further:
/// a connection that breaks now and then can transfer blobs of any size.
pub(super) struct Attempts<'a> {
    notices: &'a Notices,
    server: String,
    failed: u32,
    /// The most bytes that were transferred.
    reached: u64,
}

impl<'a> Attempts<'a> {
    /// Attempts of a request to `server`. `notices` announces long pauses.
    pub(super) fn new(notices: &'a Notices, server: String) -> Self {
        Self { notices, server, failed: 0, reached: 0 }
    }

    /// Waits before the next attempt after one that failed with `error`, which it returns if there
    /// are no more.
    pub(super) async fn again(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        self.go_on(self.reached, None, error).await
    }

    /// Waits like [`again`](Self::again), after an attempt that failed when `transferred` bytes
    /// were there, for as long as the registry asks for in `asked`.
    pub(super) async fn go_on(
        &mut self,
        transferred: u64,
        asked: Option<Duration>,
        error: RegistryError,
    ) -> Result<(), RegistryError> {
        let status = match error {
            RegistryError::Status { status, .. } => Some(status),
            _ => None,
        };
        let Some(attempt) = self.next(transferred) else { return Err(error) };
        self.wait(attempt, asked, status).await;
        Ok(())
    }

    /// Waits before the next attempt if `response` is an error that may pass; `false` if it is not,
    /// or if there are no more attempts.
    pub(super) async fn again_after(&mut self, response: &Response) -> bool {
        let status = response.status();
        if !is_temporary(status) {
            return false;
        }
        let Some(attempt) = self.next(self.reached) else { return false };
        self.wait(attempt, asked_pause(response.headers()), Some(status.as_u16())).await;
        true
    }

    /// Adds an attempt that failed when `transferred` bytes were there. Returns its number, from 0;
    /// `None` if it was the last.
    fn next(&mut self, transferred: u64) -> Option<u32> {
        if transferred >= self.reached.saturating_add(PROGRESS) {
            (self.failed, self.reached) = (0, transferred);
        }
        self.failed += 1;
        (self.failed < ATTEMPTS).then(|| self.failed - 1)
    }

    async fn wait(&self, attempt: u32, asked: Option<Duration>, status: Option<u16>) {
        self.notices.pause(pause(attempt, asked), &self.server, status).await;
    }
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
    fn only_progress_gives_more_attempts() {
        let notices = Notices::new(None);
        let mut attempts = Attempts::new(&notices, String::new());
        let mib = 1 << 20;
        for step in 0..100 {
            assert_eq!(attempts.next(step * mib), Some(0));
        }
        let rest: Vec<_> =
            (0..6).map(|step| attempts.next(if step % 2 == 0 { 0 } else { mib })).collect();
        assert_eq!(rest, [Some(1), Some(2), Some(3), Some(4), None, None]);
    }

    #[test]
    fn pauses_grow_and_are_limited() {
        assert_eq!(pause(0, None), Duration::from_millis(200));
        assert_eq!(pause(3, None), Duration::from_millis(1600));
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "100000".parse().unwrap());
        assert_eq!(pause(0, asked_pause(&headers)), LONGEST_PAUSE);
        headers.insert(RETRY_AFTER, "0".parse().unwrap());
        assert_eq!(pause(5, asked_pause(&headers)), Duration::ZERO);
    }
}
