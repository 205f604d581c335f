//! Notes for the user about pauses that registries ask for.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::text;

/// The longest pause of which nothing is said.
const SILENT_PAUSE: Duration = Duration::from_secs(5);

/// Announces long pauses, each once for all requests that wait at the same time.
#[derive(Debug)]
pub(super) struct Notices {
    print: Option<fn(&str)>,
    /// The end of the pause that was announced last.
    announced: Mutex<Option<Instant>>,
}

impl Notices {
    pub(super) fn new(print: Option<fn(&str)>) -> Self {
        Self { print, announced: Mutex::default() }
    }

    /// Waits before the next attempt of a request that `server` answered with `status`.
    pub(super) async fn pause(&self, pause: Duration, server: &str, status: Option<u16>) {
        if pause > SILENT_PAUSE {
            self.announce(pause, server, status);
        }
        tokio::time::sleep(pause).await;
    }

    fn announce(&self, pause: Duration, server: &str, status: Option<u16>) {
        let Some(print) = self.print else { return };
        let now = Instant::now();
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        if announced.is_some_and(|end| end > now) {
            return;
        }
        *announced = Some(now + pause);
        let (server, seconds) = (text::shorten(server), pause.as_secs());
        let reason = match status {
            Some(status) => format!("answers {status}"),
            None => "does not answer".to_owned(),
        };
        print(&format!("{server} {reason}; the next attempt is in {seconds} s"));
    }
}
