//! Waits until a VM is up and its engine is ready. Conditions and their timeouts are defined here;
//! [`engine::readiness`](crate::engine::readiness) evaluates them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::readiness::{self, Condition, NotReady, ProbeFuture};
use crate::engine::{Cri, Docker, Engine, Timeline};
use crate::text::errors::chain;
use crate::vm::VmError;
use crate::vm::guest::family::Api;
use crate::vm::instance::{Socket, Vm};

/// How long a step of the boot may take, and the engine's start after it.
const BOOT_STEP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a restored VM may take to set its clock.
const RESEED_TIMEOUT: Duration = Duration::from_secs(24);
/// How long a single attempt at that may take. On a busy host, the guest has needed over 2 s.
const RESEED_ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
/// How long the engine of a restored VM may take to answer.
const RESTORED_ENGINE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the guest may take to answer a request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the guest may take to report its state after a timeout.
const REPORT_TIMEOUT: Duration = Duration::from_secs(20);
/// The number of lines of the console in errors.
const CONSOLE_LINES: usize = 20;
/// The guest's port for the API.
const API_PORT: u16 = 2376;

/// Waits up to `timeout` for a VM that boots.
pub(super) async fn wait_for_boot(
    vm: &Vm,
    timeout: Duration,
) -> Result<(Engine, Timeline), VmError> {
    let limit = BOOT_STEP_TIMEOUT;
    let conditions = [
        first_console_output(vm, limit),
        guest_responds(vm, limit),
        agent_responds(vm, limit),
        api_socket_listens(vm, limit),
    ];
    let mut timeline = Timeline::new(vm.started());
    wait(vm, &conditions, &mut timeline, timeout).await?;
    let left = timeout.saturating_sub(vm.started().elapsed());
    wait_for_engine(vm, timeline, limit.min(left)).await
}

/// Reseeds the random number generator of a restored VM, sets its clock, and waits up to `timeout`
/// for its engine.
pub(super) async fn wait_for_restored(
    vm: &Vm,
    timeout: Duration,
) -> Result<(Engine, Timeline), VmError> {
    let mut timeline = Timeline::new(vm.started());
    timeline.add("snapshot restored", None);
    let reseeded = condition("RNG reseeded, clock set", RESEED_TIMEOUT, move || {
        Box::pin(async {
            vm.reseed_and_set_clock(RESEED_ANSWER_TIMEOUT).await.map(Some).map_err(|e| chain(&e))
        })
    });
    wait(vm, &[reseeded], &mut timeline, timeout).await?;
    wait_for_engine(vm, timeline, RESTORED_ENGINE_TIMEOUT.min(timeout)).await
}

/// Waits up to `timeout` for the engine of a VM that is up. The requests are sent inside of the
/// guest, to the engine's own socket: that is far cheaper for an emulated CPU than the first
/// connection over TLS, and the answer contains the API version.
pub(in crate::vm) async fn wait_for_engine(
    vm: &Vm,
    mut timeline: Timeline,
    timeout: Duration,
) -> Result<(Engine, Timeline), VmError> {
    let newest_api = Mutex::new(None);
    let responds = condition(engine_event(vm), timeout, || {
        Box::pin(async {
            let (uptime, api) = vm.wait_for_engine(1).await.map_err(|e| chain(&e))?;
            *newest_api.lock().unwrap_or_else(PoisonError::into_inner) = api;
            Ok(Some(uptime))
        })
    });
    let start = Instant::now();
    wait(vm, &[responds], &mut timeline, timeout).await?;
    let newest_api = newest_api.into_inner().unwrap_or_else(PoisonError::into_inner);
    match vm.family().api {
        Api::Docker => {
            let docker = Docker::over_tls(vm.port(), vm.folder(), newest_api)?;
            Ok((Engine::Docker(docker), timeline))
        }
        Api::Cri => {
            let cri = Cri::over_tls(vm.port(), vm.folder())?;
            let left = timeout.saturating_sub(start.elapsed());
            wait(vm, &[node_ready(vm, &cri, left)], &mut timeline, left).await?;
            Ok((Engine::Cri(cri), timeline))
        }
    }
}

/// The event of an engine that answers `/_ping` with OK and whose dependency accepts connections.
fn engine_event(vm: &Vm) -> &'static str {
    match (&vm.family().socket, &vm.family().needs) {
        (Some(_), Some(_)) => "API and containerd respond",
        (Some(_), None) => "API responds",
        (None, _) => "containerd responds",
    }
}

/// Waits until all conditions are met, in order.
async fn wait(
    vm: &Vm,
    conditions: &[Condition<'_>],
    timeline: &mut Timeline,
    limit: Duration,
) -> Result<(), VmError> {
    let wait = async {
        match readiness::wait(conditions, timeline, limit, vm.clock()).await {
            Ok(()) => Ok(()),
            Err(cause) => Err(not_ready(vm, cause).await),
        }
    };
    vm.or_exit(wait).await
}

fn condition<'a>(
    name: &'static str,
    limit: Duration,
    probe: impl Fn() -> ProbeFuture<'a> + Send + Sync + 'a,
) -> Condition<'a> {
    Condition { name, limit, probe: Box::new(probe) }
}

fn first_console_output(vm: &Vm, limit: Duration) -> Condition<'_> {
    condition("first console output", limit, move || {
        Box::pin(async {
            let size = std::fs::metadata(vm.console_file()).map_or(0, |metadata| metadata.len());
            if size > 0 { Ok(None) } else { Err("the console is empty".to_owned()) }
        })
    })
}

fn guest_responds(vm: &Vm, limit: Duration) -> Condition<'_> {
    condition("guest responds", limit, move || {
        Box::pin(async { vm.uptime().await.map(Some).map_err(|e| chain(&e)) })
    })
}

fn agent_responds(vm: &Vm, limit: Duration) -> Condition<'_> {
    condition("guest agent responds", limit, move || {
        Box::pin(async { vm.agent(ANSWER_TIMEOUT).await.map(|_| None).map_err(|e| chain(&e)) })
    })
}

/// Asks the guest, because the host's port accepts connections before the guest has booted.
fn api_socket_listens(vm: &Vm, limit: Duration) -> Condition<'_> {
    condition("API socket listens", limit, move || {
        Box::pin(async {
            let mut agent = vm.agent(ANSWER_TIMEOUT).await.map_err(|e| chain(&e))?;
            let sockets = agent.read_file("/proc/net/tcp6").await.map_err(|e| chain(&e))?;
            match listens(&sockets, API_PORT) {
                true => Ok(None),
                false => Err(format!("no socket listens on port {API_PORT}")),
            }
        })
    })
}

/// The condition under which a kubelet places pods on a node.
fn node_ready<'a>(vm: &'a Vm, cri: &'a Cri, limit: Duration) -> Condition<'a> {
    condition("runtime and network ready", limit, move || {
        Box::pin(async {
            cri.ready().await.map_err(|e| chain(&e))?;
            vm.uptime().await.map(Some).map_err(|e| chain(&e))
        })
    })
}

/// Whether a table of sockets (proc(5), `/proc/net/tcp6`) has one that listens on `port`.
fn listens(table: &str, port: u16) -> bool {
    let sockets = table.lines().filter_map(|line| Socket::parse("tcp6", line));
    sockets.map(|socket| socket.port).any(|found| found == port.into())
}

/// Returns an error that contains the state of the guest: units, journal, console.
async fn not_ready(vm: &Vm, cause: NotReady) -> VmError {
    let units = vm.family().units.join(" ");
    let script = format!(
        "systemctl --no-pager --full status {units}; journalctl --no-pager -n 40 -o short-monotonic"
    );
    let output = async {
        let mut agent = vm.agent(REPORT_TIMEOUT).await?;
        agent.run("/bin/sh", &["-c", &script], REPORT_TIMEOUT).await
    };
    let guest = match output.await {
        Ok(output) => output.stdout,
        Err(error) => format!("failed to get the state of the guest: {}", chain(&error)),
    };
    let console = vm.console_tail(CONSOLE_LINES);
    let report = format!("{guest}\nlast lines of the console:\n{console}");
    VmError::NotReady { cause: Box::new(cause), report }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_port_listens_only_if_a_socket_in_state_listen_has_it() {
        let address = |port: &str| format!("{}:{port}", "0".repeat(32));
        let socket = |local: &str, state: &str| {
            format!("   0: {} {} {state} 00000000:0\n", address(local), address("0000"))
        };
        let table = "  sl  local_address  remote_address  st tx_queue\n".to_owned()
            + &socket("0948", "0A")
            + &socket("0016", "01");
        let listens = |port| super::listens(&table, port);
        assert!(listens(2376));
        assert!(!listens(22), "a connected socket");
        assert!(!listens(80));
    }
}
