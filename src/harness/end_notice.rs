//! Notices the end of a container.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::engine::Container;

/// The pause after a request for the end of a container that failed, such as after its timeout.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Notices the end of a container at once: the engine is asked once, and answers when it ends.
pub(crate) struct EndNotice {
    ended: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl EndNotice {
    pub(crate) fn new(container: &Container) -> Self {
        let (container, (sender, ended)) = (container.clone(), watch::channel(false));
        let task = tokio::spawn(async move {
            while container.wait_for_exit().await.is_err() {
                sleep(RETRY_INTERVAL).await;
            }
            sender.send_replace(true);
            // Receivers take the end of the channel for an error.
            sender.closed().await;
        });
        Self { ended, task }
    }

    /// Awaits `operation`, or returns `None` as soon as the container ends.
    pub(crate) async fn or<T>(&self, operation: impl Future<Output = T>) -> Option<T> {
        let mut ended = self.ended.clone();
        tokio::select! {
            biased;
            result = operation => Some(result),
            _ = ended.wait_for(|ended| *ended) => None,
        }
    }
}

impl Drop for EndNotice {
    fn drop(&mut self) {
        self.task.abort();
    }
}
