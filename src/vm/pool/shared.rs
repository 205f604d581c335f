//! VMs that all tasks of this process share. They end when it exits.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::options::Options;
use super::prepare::{PrepareOptions, prepare};
use super::readiness;
use super::slots::OwnVms;
use super::start::{ReadyVm, start};
use crate::engine::Timeline;
use crate::vm::VmError;

/// How long the engine of a shared VM may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A shared VM, once its engine is ready.
#[derive(Debug)]
struct SharedVm {
    guest: String,
    options: Options,
    ready: OnceCell<ReadyVm>,
}

static SHARED: Mutex<Vec<Arc<SharedVm>>> = Mutex::new(Vec::new());

/// Returns a handle of the VM of `guest` with these options. The first call starts it.
///
/// # Errors
/// If the VM does not start, its engine does not become ready, or the VM has ended.
pub(crate) async fn get(guest: &str, options: Options) -> Result<ReadyVm, VmError> {
    let shared = find_or_add(guest, options);
    let ready = shared.ready.get_or_try_init(|| start_shared(&shared)).await?;
    let vm = ready.vm.share();
    let timeline = Timeline::new(vm.started());
    let (engine, _) = readiness::wait_for_engine(&vm, timeline, ANSWER_TIMEOUT).await?;
    let (timeline, fallback) = (ready.timeline.clone(), ready.fallback.clone());
    Ok(ReadyVm { vm, engine, timeline, fallback, slot: None })
}

async fn start_shared(shared: &SharedVm) -> Result<ReadyVm, VmError> {
    // Starting the VM makes the snapshot, if it needs one.
    let only_assemble = PrepareOptions { snapshot: false, ..PrepareOptions::default() };
    let guest = prepare(&shared.guest, &only_assemble, &mut |_| ()).await?;
    let ready = start(&guest, &shared.options, OwnVms::Shared).await?;
    end_at_exit();
    Ok(ready)
}

fn find_or_add(guest: &str, options: Options) -> Arc<SharedVm> {
    let mut all = all();
    let same = |shared: &&Arc<SharedVm>| shared.guest == guest && shared.options == options;
    if let Some(shared) = all.iter().find(same) {
        return Arc::clone(shared);
    }
    let guest = guest.to_owned();
    let shared = Arc::new(SharedVm { guest, options, ready: OnceCell::new() });
    all.push(Arc::clone(&shared));
    shared
}

fn all() -> MutexGuard<'static, Vec<Arc<SharedVm>>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the process end its shared VMs when it exits. If it is killed instead, the kernel kills
/// them, and the next VM that starts removes their folders.
#[allow(unsafe_code, reason = "the standard library has nothing that runs when a process exits")]
fn end_at_exit() {
    static REGISTERED: Once = Once::new();
    extern "C" fn end_all() {
        // A panic must not leave this function.
        let _ = catch_unwind(AssertUnwindSafe(end));
    }
    // SAFETY: `end_all` has the type that atexit(3) expects, is part of this program, and does not
    // unwind.
    REGISTERED.call_once(|| {
        // Without it, the kernel kills the VMs.
        let _ = unsafe { libc::atexit(end_all) };
    });
}

fn end() {
    for shared in mem::take(&mut *all()) {
        match Arc::try_unwrap(shared).map(|shared| shared.ready.into_inner()) {
            Ok(Some(ReadyVm { vm, engine, .. })) => {
                drop(vm);
                // Its connections belong to an async runtime that has ended.
                mem::forget(engine);
            }
            Ok(None) => {}
            // Another thread waits for the VM right now.
            Err(shared) => shared.ready.get().into_iter().for_each(|ready| ready.vm.power_off()),
        }
    }
}
