//! Containers and images in the engine and folders in the guest that a trial no longer needs.

use std::sync::{Mutex, PoisonError};

use tokio::task::JoinSet;

use crate::engine::{Container, Engine};

/// Containers that are being removed, images that were made from containers, and folders of the
/// guest with files of containers.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    removals: Mutex<JoinSet<()>>,
    /// The newest is the last.
    images: Mutex<Vec<String>>,
    folders: Mutex<Vec<String>>,
}

impl Leftovers {
    /// Adds an image that was made from a container.
    pub(super) fn add_image(&self, image: &str) {
        self.images.lock().unwrap_or_else(PoisonError::into_inner).push(image.to_owned());
    }

    /// Adds a folder of the guest.
    pub(super) fn add_folder(&self, folder: &str) {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).push(folder.to_owned());
    }

    /// Forgets folders of the guest that have been removed.
    pub(super) fn forget_folders(&self, removed: &[String]) {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.retain(|folder| !removed.contains(folder));
    }

    /// Returns the folders, which the caller removes.
    pub(super) fn take_folders(&self) -> Vec<String> {
        take(&self.folders)
    }

    /// Removes a container that has ended, while the caller continues. Waits until those before are
    /// removed, so that removals do not pile up beside commands.
    pub(super) async fn remove_later(&self, container: Container) {
        self.wait().await;
        let mut removals = self.removals.lock().unwrap_or_else(PoisonError::into_inner);
        removals.spawn(async move {
            // If it fails, the container stays until the VM ends.
            let _ = container.remove().await;
        });
    }

    /// Waits until all containers are removed, and removes the images.
    pub(super) async fn remove(&self, engine: &Engine) {
        self.wait().await;
        // An image may be made from a container of the one before.
        for image in take(&self.images).iter().rev() {
            let _ = engine.remove(image).await;
        }
    }

    async fn wait(&self) {
        let mut removals = take(&self.removals);
        while removals.join_next().await.is_some() {}
    }
}

fn take<T: Default>(value: &Mutex<T>) -> T {
    std::mem::take(&mut *value.lock().unwrap_or_else(PoisonError::into_inner))
}
