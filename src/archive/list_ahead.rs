//! Lists the entries of layers on several threads, a few layers ahead: reading the metadata of many
//! files takes longer than anything else if no layer has changed.

use std::collections::VecDeque;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::ArchiveError;
use super::layer::Layer;

/// Lists the entries of one layer when the pipeline gets to it.
pub type LayerSource<'a, E> = Box<dyn FnOnce() -> Result<Layer, E> + Send + 'a>;

/// A layer to list, and where to send it.
pub(super) type ListJob<'a, E> = (LayerSource<'a, E>, Sender<Result<Layer, E>>);

/// Lists layers until there are no more.
pub(super) fn list<E>(jobs: &Receiver<ListJob<'_, E>>) {
    for (source, result) in jobs {
        // If an earlier layer failed, nobody waits for this one.
        let _ = result.send(source());
    }
}

/// Layers in order, of which some are listed ahead.
pub(super) struct ListedAhead<'a, E> {
    waiting: std::vec::IntoIter<LayerSource<'a, E>>,
    to_list: Sender<ListJob<'a, E>>,
    /// The number of layers that are listed before they are needed. Their lists may be large.
    ahead: usize,
}

impl<'a, E: From<ArchiveError>> ListedAhead<'a, E> {
    /// The layers of `sources`, which at most `threads` threads list, and the queue from which
    /// these take them.
    pub(super) fn new(
        sources: Vec<LayerSource<'a, E>>,
        threads: usize,
    ) -> (Self, Receiver<ListJob<'a, E>>) {
        let ahead = threads.min(sources.len());
        let (to_list, unlisted) = bounded(ahead);
        (Self { waiting: sources.into_iter(), to_list, ahead }, unlisted)
    }

    /// The number of threads that have something to list.
    pub(super) fn listers(&self) -> usize {
        self.ahead
    }

    /// Calls `each` with every layer, in order, until it returns `false`.
    pub(super) fn each(mut self, mut each: impl FnMut(Result<Layer, E>) -> bool) {
        let mut listed = VecDeque::new();
        loop {
            while listed.len() <= self.ahead
                && let Some(source) = self.waiting.next()
            {
                let (result, layer) = bounded(1);
                if self.to_list.send((source, result)).is_err() {
                    break;
                }
                listed.push_back(layer);
            }
            let Some(layer) = listed.pop_front() else { return };
            let lost = |_| Err(ArchiveError::WorkerLost.into());
            if !each(layer.recv().unwrap_or_else(lost)) {
                return;
            }
        }
    }
}
