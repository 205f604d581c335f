//! Saves a VM as a snapshot with layers.

use std::fs;

use crate::files::cache_dir;
use crate::image::Digest;
use crate::vm::VmError;
use crate::vm::folders::{self, SNAPSHOTS, cache_folder};
use crate::vm::guest::Guest;
use crate::vm::instance::Snapshot;
use crate::vm::instance::snapshot::{self, UNFINISHED};
use crate::vm::locks::Lock;
use crate::vm::pool::layered::{LOCK, LayeredSnapshot, SEPARATOR, make_room};
use crate::vm::pool::start::ReadyVm;

impl ReadyVm {
    /// Ends the VM, which was started from `guest` as saveable, and saves it with the layers that
    /// its engine has, and a note on their purpose. No container may have run in it.
    ///
    /// # Errors
    /// If the VM cannot be saved. Nothing is left in the cache then.
    pub(crate) async fn save(
        self,
        guest: &Guest,
        chain_ids: &[String],
        note: &str,
    ) -> Result<LayeredSnapshot, VmError> {
        let Self { vm, engine, slot, .. } = self;
        // Its connections would be dead in restored VMs.
        drop(engine);
        let snapshots = cache_folder(SNAPSHOTS)?;
        let layers = Digest::of(chain_ids.join("\n").as_bytes()).hex();
        let key = snapshot::key(guest, vm.accelerator())?;
        let name = format!("{key}{SEPARATOR}{}", &layers[..16]);
        let work = folders::temporary_folder(&snapshots, &format!("{UNFINISHED}{name}-"))?;
        let _working = Lock::acquire(&work.path().join("lock"))?;
        Snapshot::save_with_layers(guest, vm, (chain_ids, note), work.path()).await?;
        drop(slot);
        let folder = snapshots.join(name);
        let _lock = Lock::acquire(&snapshots.join(LOCK))?;
        folders::remove_folder(&folder)?;
        fs::rename(work.path(), &folder).map_err(VmError::file("rename a folder to", &folder))?;
        let damaged = || std::io::Error::other("the new snapshot is incomplete");
        let snapshot =
            Snapshot::open(&folder).ok_or_else(|| VmError::file("read", &folder)(damaged()))?;
        make_room(&snapshots, &folder, cache_dir::blobs_limit())?;
        Ok(LayeredSnapshot { folder, snapshot })
    }
}
