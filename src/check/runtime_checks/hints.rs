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
    let runs = container.failed_health_checks().await.unwrap_or_default();
    let is_emulated = image.daemon().vm().accelerator() == Accelerator::Tcg;
    hints.extend(of_health_check(&runs, is_emulated));
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
    } else if let Ok(inside) = sockets::inspect(image.daemon(), container).await {
        hints.extend(listening::hints(&ports(expected), &inside, &exposed, &in_pod));
    }
    hints
}

/// Describes failed runs of a health check, the last one first, if there are any.
fn of_health_check(runs: &[(i64, String)], is_emulated: bool) -> Option<String> {
    let ((code, output), before) = runs.split_first()?;
    let output = value::excerpt_of_end(output);
    // Docker's code for a run that it has ended.
    if *code != -1 {
        return Some(format!("the health check last exited with code {code} and printed {output}"));
    }
    let mut hint = format!("the health check did not end within its timeout: {output}");
    for (code, output) in before {
        let output = value::excerpt_of_end(output);
        hint += &format!("; before that, it exited with code {code} and printed {output}");
    }
    if is_emulated {
        hint += "; this VM is emulated, and slower than real machines: allow the health check more \
                 time";
    }
    Some(hint)
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
        let late = (-1, "Health check exceeded timeout (1s)".to_owned());
        let failed = (127, "no curl".to_owned());
        let hint = |runs: &[(i64, String)], is_emulated| {
            of_health_check(runs, is_emulated).unwrap_or_default()
        };
        let on_kvm = hint(std::slice::from_ref(&late), false);
        let quoted = "the health check did not end within its timeout: \"Health check exceeded \
                      timeout (1s)\"";
        assert_eq!(on_kvm, quoted);
        let advice = "; this VM is emulated, and slower than real machines: allow the health check \
                      more time";
        assert_eq!(hint(std::slice::from_ref(&late), true), format!("{on_kvm}{advice}"));
        assert_eq!(
            hint(&[late, failed.clone()], false),
            on_kvm + "; before that, it exited with code 127 and printed \"no curl\""
        );
        let failed = hint(&[failed], true);
        assert_eq!(failed, "the health check last exited with code 127 and printed \"no curl\"");
        assert_eq!(of_health_check(&[], true), None);
    }
}
