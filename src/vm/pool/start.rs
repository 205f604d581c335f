//! Starts a VM, restored from a snapshot or booted, and waits until its engine is ready.

use std::time::Duration;

use crate::engine::{Engine, Timeline};
use crate::text::errors::chain;
use crate::vm::VmError;
use crate::vm::egress::Egress;
use crate::vm::guest::Guest;
use crate::vm::instance::Accelerator;
use crate::vm::instance::Vm;
use crate::vm::instance::accelerator;
use crate::vm::instance::qemu_args::Network;
use crate::vm::instance::snapshot::Snapshot;
use crate::vm::instance::vm::BootOptions;
use crate::vm::pool::layered::{self, Layered, LayeredSnapshot};
use crate::vm::pool::options::Options;
use crate::vm::pool::readiness;
use crate::vm::pool::slots::{self, OwnVms, VmSlot};
use crate::vm::published_port::PublishedPort;

/// A VM whose engine is ready. It ends when it is dropped.
#[derive(Debug)]
pub struct ReadyVm {
    /// The VM.
    pub vm: Vm,
    /// The engine.
    pub engine: Engine,
    /// The events from the start of QEMU until the engine was ready.
    pub timeline: Timeline,
    /// If the VM should have been restored but was booted, the reason.
    pub fallback: Option<String>,
    #[allow(dead_code)] // keeps the slot while the VM runs
    pub(in crate::vm) slot: Option<VmSlot>,
}

/// The timeout for a VM that boots: three times what plain Debian needs under emulation.
const BOOT_TIMEOUT: Duration = Duration::from_secs(120);
/// The timeout for a VM that is restored.
const RESTORE_TIMEOUT: Duration = Duration::from_secs(30);

/// Starts a VM of `guest` and waits until its engine is ready. If its snapshot is missing, makes it
/// first. `own_vms` says whether the VMs that the same task has started end while it waits for a VM
/// slot.
///
/// # Errors
/// If the VM does not start, or its engine does not become ready; the error contains the state of
/// the guest.
pub async fn start(guest: &Guest, options: &Options, own_vms: OwnVms) -> Result<ReadyVm, VmError> {
    start_layered(guest, options, own_vms, &Layered::default()).await
}

/// Like [`start`], with snapshots that have layers.
pub(crate) async fn start_layered(
    guest: &Guest,
    options: &Options,
    own_vms: OwnVms,
    layered: &Layered,
) -> Result<ReadyVm, VmError> {
    options.published.iter().try_for_each(PublishedPort::check_is_free)?;
    let guest = &options.resources.apply_to(guest);
    let family = &guest.definition.family;
    let slot = match options.skip_slot_queue {
        true => None,
        false => Some(slots::acquire(family.memory_mib, own_vms).await?),
    };
    let single_thread = slot.as_ref().is_some_and(|slot| slot.single_thread(family.cpus));
    let accelerator = accelerator::choose(options.accelerator, guest).await?;
    let mut fallback = None;
    if options.restores() {
        let saveable = layered.saveable && layered::has_space();
        let kind = (single_thread, saveable);
        match restore_best(guest, accelerator, options, kind, layered.from.as_ref()).await {
            Ok((vm, engine, timeline)) => {
                return Ok(ReadyVm { vm, engine, timeline, fallback, slot });
            }
            Err(error) => fallback = Some(chain(&error)),
        }
    }
    let vm = boot(guest, accelerator, options, single_thread)?;
    let timeout = options.timeout.unwrap_or(BOOT_TIMEOUT);
    let (engine, timeline) = readiness::wait_for_boot(&vm, timeout).await?;
    if options.allowed_egress() == Egress::Host {
        vm.allow_host().await?;
    }
    if options.resources.disk_gib.is_some() {
        vm.grow_file_system().await?;
    }
    Ok(ReadyVm { vm, engine, timeline, fallback, slot })
}

fn boot(
    guest: &Guest,
    accelerator: Accelerator,
    options: &Options,
    single_thread: bool,
) -> Result<Vm, VmError> {
    let boot = BootOptions {
        network: Network { egress: options.allowed_egress(), published: &options.published },
        single_thread,
        kernel_arguments: &options.kernel_arguments,
        ram: None,
        changes: &options.changes,
        disk_gib: options.resources.disk_gib,
    };
    Vm::boot(guest, accelerator, boot)
}

/// Restores a VM from the snapshot with layers, if that is given and can be restored, otherwise
/// from the plain one, which is made if it is missing.
async fn restore_best(
    guest: &Guest,
    accelerator: Accelerator,
    options: &Options,
    kind: (bool, bool),
    layered: Option<&LayeredSnapshot>,
) -> Result<(Vm, Engine, Timeline), VmError> {
    if let Some(layered) = layered {
        match restore(guest, &layered.snapshot, options, kind).await {
            Ok(restored) => return Ok(restored),
            Err(_) => layered.discard(),
        }
    }
    let (single_thread, _) = kind;
    let plain = Snapshot::find_or_create(guest, accelerator, single_thread, wait_for_saving);
    let snapshot = plain.await?;
    let restored = restore(guest, &snapshot, options, kind).await;
    restored.inspect_err(|error| snapshot.discard_if_rejected(error))
}

async fn restore(
    guest: &Guest,
    snapshot: &Snapshot,
    options: &Options,
    (single_thread, saveable): (bool, bool),
) -> Result<(Vm, Engine, Timeline), VmError> {
    let saved = snapshot.saved_state();
    let network = Network { egress: options.allowed_egress(), published: &options.published };
    let vm = Vm::restore(guest, &saved, network, single_thread, saveable).await?;
    let timeout = options.timeout.unwrap_or(RESTORE_TIMEOUT);
    let (engine, timeline) = readiness::wait_for_restored(&vm, timeout).await?;
    if options.allowed_egress() == Egress::Host {
        vm.allow_host().await?;
    }
    Ok((vm, engine, timeline))
}

/// Makes the snapshot of `guest`, if there is none.
pub(super) async fn make_snapshot(guest: &Guest, accelerator: Accelerator) -> Result<(), VmError> {
    Snapshot::find_or_create(guest, accelerator, false, wait_for_saving).await.map(drop)
}

/// Waits until a VM that boots can be saved as a snapshot.
async fn wait_for_saving(vm: &Vm) -> Result<(), VmError> {
    let (engine, _) = readiness::wait_for_boot(vm, BOOT_TIMEOUT).await?;
    // So that QEMU has translated the code for this request, and the files it needs are cached.
    engine.version().await?;
    Ok(())
}
