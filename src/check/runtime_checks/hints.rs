//! Facts about a service that failed: what listens in its container, and what its health check
//! prints. They are looked up after the failure, and whatever cannot be found out is left out.

use super::companions::Companions;
use super::listening;
use crate::check::expectations::{Port, Protocol, ServiceExpectations};
use crate::engine::{Container, OutOfMemory};
use crate::harness::{LoadedImage, exits, sockets};
use crate::text::value;
use crate::vm::Accelerator;

/// Returns hints about the service in `container`, which has just failed.
pub(super) async fn of_service(
    image: &LoadedImage<'_>,
    container: &Container,
    expected: &ServiceExpectations,
    companions: &Companions,
) -> Vec<String> {
    let mut hints = Vec::new();
    if let (Some(true), Ok(Some((code, output)))) =
        (expected.ready.healthy, container.last_health_check().await)
    {
        let is_emulated = image.daemon().vm().accelerator() == Accelerator::Tcg;
        hints.push(of_health_check(code, &output, is_emulated));
    }
    let state = exits::state(image.daemon(), container).await.unwrap_or_default();
    let out_of_memory = state.exit.and_then(|exit| exit.out_of_memory);
    hints.extend(
        out_of_memory.map(|whose| of_memory(whose, expected.container.memory_mib.map(u64::from))),
    );
    let exposed = image.inspect().await.map(|facts| facts.exposed_ports).unwrap_or_default();
    let in_pod = companions.ports_in_pod(image.daemon()).await;
    if !state.running {
        let (stdout, stderr) = container.logs().await.unwrap_or_default();
        let output = stdout + &stderr;
        hints.extend(listening::hints_after_end(&ports(expected), &exposed, &in_pod, &output));
    } else if let Ok(inside) = sockets::look(image.daemon(), container).await {
        hints.extend(listening::hints(&ports(expected), &inside, &exposed, &in_pod));
    }
    hints
}

/// Describes a run of a health check.
fn of_health_check(code: i64, output: &str, is_emulated: bool) -> String {
    let output = value::excerpt_of_end(output);
    match (code, is_emulated) {
        // Docker's code for a run that it has ended.
        (-1, true) => format!(
            "the health check did not end within its timeout: {output}; this VM is emulated, and \
             slower than real machines: allow the health check more time"
        ),
        (-1, false) => format!("the health check did not end within its timeout: {output}"),
        _ => format!("the health check last exited with code {code} and printed {output}"),
    }
}

/// Names the limit that a container with a memory limit of `limit` MiB has reached, a process of
/// which was killed because memory was exhausted.
pub(super) fn of_memory(whose: OutOfMemory, limit: Option<u64>) -> String {
    match limit {
        Some(mib) if whose != OutOfMemory::Host => {
            format!("the container reached its memory limit of {mib} MiB (memory_mib)")
        }
        _ => "the VM's memory was exhausted; --memory MIB gives the VM more".to_owned(),
    }
}

/// The ports that the service must listen on.
fn ports(expected: &ServiceExpectations) -> Vec<Port> {
    let requests = expected.ready.http.iter().chain(&expected.http).chain(expected.goss_requests());
    let requests = requests.map(|it| Port { number: it.port, protocol: Protocol::Tcp });
    let mut ports: Vec<Port> = requests.chain(expected.ready.port).collect();
    ports.sort_by_key(|port| (port.number, port.protocol == Protocol::Udp));
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_health_check_that_exceeded_its_timeout_has_a_hint_about_an_emulated_vm() {
        let late = "Health check exceeded timeout (1s)";
        let on_kvm = of_health_check(-1, late, false);
        let quoted = "the health check did not end within its timeout: \"Health check exceeded \
                      timeout (1s)\"";
        assert_eq!(on_kvm, quoted);
        let advice = "; this VM is emulated, and slower than real machines: allow the health check \
                      more time";
        assert_eq!(of_health_check(-1, late, true), on_kvm + advice);
        let failed = of_health_check(127, "no curl", true);
        assert_eq!(failed, "the health check last exited with code 127 and printed \"no curl\"");
    }
}
