//! Running containers beside the commands and services of a file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::check::expectations::companion;
use crate::engine::{Container, RunOptions};
use crate::harness::LoadedImage;

/// The images of further containers that are not the image under test, by the path of their archive
/// or recipe: the image in the engine, or the reason why it is not there.
pub(in crate::check) type Images<'d> = BTreeMap<PathBuf, Result<CompanionImage<'d>, String>>;

/// The image of a further container in the engine.
pub(in crate::check) struct CompanionImage<'d> {
    pub(in crate::check) image: LoadedImage<'d>,
    /// The `User` of its config.
    pub(in crate::check) user: Option<String>,
}

/// Running containers.
#[derive(Default)]
pub(super) struct Companions {
    running: Vec<Companion>,
}

/// A running container, and how the others reach it.
pub(super) struct Companion {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) container: Container,
    pub(super) address: String,
}

impl Companions {
    /// Returns `options` for a container beside these: it knows their names, and its variables
    /// their addresses. Over CRI, it is in the same pod.
    pub(super) fn beside(&self, mut options: RunOptions) -> RunOptions {
        options.pod = self.running.iter().find_map(|companion| companion.container.pod());
        for Companion { name, aliases, address, .. } in &self.running {
            let placeholder = companion::placeholder(name);
            for entry in &mut options.env {
                *entry = entry.replace(&placeholder, address);
            }
            for name in aliases.iter().chain([name]).filter(|_| options.network) {
                let hosts = &mut options.settings.hosts;
                hosts.entry(name.clone()).or_insert_with(|| address.clone());
            }
        }
        options
    }

    /// Adds a container that was started after the others.
    pub(super) fn add(&mut self, companion: Companion) {
        self.running.push(companion);
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Removes the containers, the last one first.
    pub(super) async fn remove(mut self) {
        while let Some(companion) = self.running.pop() {
            // The VM ends soon, whatever is left in it.
            let _ = companion.container.remove().await;
        }
    }
}
