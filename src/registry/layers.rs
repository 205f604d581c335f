//! Fetches the layers of images, several at once, and verifies each as soon as it is there.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use futures_util::StreamExt;
use futures_util::stream;

use super::image::{PARALLEL, RemoteImage};
use super::{Registries, RegistryError};
use crate::archive::Image;
use crate::archive::verify::{self, Stored, VerifiedLayer};
use crate::image::Digest;
use crate::image::manifest::Descriptor;

impl Registries {
    /// Fetches the layers of `image`, several at once, so that reading them later waits for
    /// nothing. `progress` is called with the number of bytes of each piece.
    ///
    /// # Errors
    /// If a layer cannot be fetched, does not match its digest, or cannot be cached.
    pub fn fetch_layers(
        &self,
        image: &RemoteImage,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RegistryError> {
        let all = image.manifest.layers.iter().map(|layer| layer.digest).collect();
        self.fetch(image, &all, progress, |_| ())
    }

    /// Fetches the layers of `image`, which are some of those of `remote`, and verifies each on one
    /// of `threads` threads while others are fetched.
    ///
    /// # Errors
    /// If a layer cannot be fetched or cached, is not a tar, or does not match its digests.
    pub fn verified_layers(
        &self,
        remote: &RemoteImage,
        image: &Image,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<VerifiedLayer>, RegistryError> {
        let wanted = image.layers.iter().filter_map(|layer| layer.digest).collect();
        let arrivals = Arrivals::default();
        let (fetched, verified) = thread::scope(|scope| {
            let fetching = scope.spawn(|| {
                let _end = EndOfArrivals(&arrivals);
                self.fetch(remote, &wanted, progress, |digest| arrivals.add(digest))
            });
            let wait = |digest: Option<Digest>| arrivals.wait(digest?);
            let verified = verify::arriving_layers(image, threads, |layer| wait(layer.digest));
            (fetching.join(), verified)
        });
        fetched.unwrap_or_else(|_| Err(RegistryError::thread_lost()))?;
        Ok(verified?)
    }

    /// Fetches the layers with the digests in `wanted`, and calls `arrived` for each.
    fn fetch(
        &self,
        image: &RemoteImage,
        wanted: &BTreeSet<Digest>,
        progress: &(dyn Fn(u64) + Sync),
        arrived: impl Fn(Digest) + Sync,
    ) -> Result<(), RegistryError> {
        let mut distinct: Vec<&Descriptor> = Vec::new();
        for layer in image.manifest.layers.iter().filter(|layer| wanted.contains(&layer.digest)) {
            if distinct.iter().all(|other| other.digest != layer.digest) {
                distinct.push(layer);
            }
        }
        self.run(async {
            let fetches = distinct.into_iter().map(|layer| async {
                let blob = self.blob(&image.reference, layer, progress).await?;
                Ok::<_, RegistryError>((layer.digest, blob))
            });
            let fetches: Vec<_> = fetches.collect();
            let mut results = stream::iter(fetches).buffer_unordered(PARALLEL);
            while let Some(result) = results.next().await {
                let (digest, blob) = result?;
                let layers = image.image.layers.iter();
                let same = layers.filter(|layer| layer.digest == Some(digest));
                same.for_each(|layer| layer.bytes.set_fetched(blob.clone()));
                arrived(digest);
            }
            Ok(())
        })?;
        self.0.prune();
        Ok(())
    }
}

/// The layers that have been fetched. Threads can wait for one.
#[derive(Default)]
struct Arrivals {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    arrived: BTreeSet<Digest>,
    /// Whether no more come.
    ended: bool,
}

impl Arrivals {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    fn add(&self, digest: Digest) {
        self.change(|state| {
            state.arrived.insert(digest);
        });
    }

    /// Waits until the layer has been fetched, which checks its digest; `None` if it never is.
    fn wait(&self, digest: Digest) -> Option<Stored> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut State| !state.ended && !state.arrived.contains(&digest);
        let state = self.changed.wait_while(state, waits);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        state.arrived.contains(&digest).then_some(Stored::Checked)
    }
}

/// Ends waiting when the thread that fetches ends, even by a panic.
struct EndOfArrivals<'a>(&'a Arrivals);

impl Drop for EndOfArrivals<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.ended = true);
    }
}
