//! Facts about a service that failed: what listens in its container, and what its health check
//! prints. They are looked up after the failure, and whatever cannot be found out is left out.

use super::listening;
use crate::check::expectations::{Port, Protocol, ServiceExpectations};
use crate::engine::{Container, OutOfMemory};
use crate::harness::{LoadedImage, exits, sockets};
use crate::value;

/// Returns hints about the service in `container`, which has just failed.
pub(super) async fn of_service(
    image: &LoadedImage<'_>,
    container: &Container,
    expected: &ServiceExpectations,
) -> Vec<String> {
    let mut hints = Vec::new();
    if let (Some(true), Ok(Some((code, output)))) =
        (expected.ready.healthy, container.last_health_check().await)
    {
        let output = value::excerpt_of_end(&output);
        hints.push(format!("the health check last exited with code {code} and printed {output}"));
    }
    let state = exits::state(image.daemon(), container).await.unwrap_or_default();
    let out_of_memory = state.exit.and_then(|exit| exit.out_of_memory);
    hints.extend(
        out_of_memory.map(|whose| of_memory(whose, expected.container.memory_mib.map(u64::from))),
    );
    if state.running
        && let Ok(inside) = sockets::look(image.daemon(), container).await
    {
        let exposed = image.inspect().await.map(|facts| facts.exposed_ports).unwrap_or_default();
        hints.extend(listening::hints(&ports(expected), &inside, &exposed));
    }
    hints
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
    let requests = expected.ready.http.iter().chain(&expected.http);
    let requests = requests.map(|it| Port { number: it.port, protocol: Protocol::Tcp });
    let mut ports: Vec<Port> = requests.chain(expected.ready.port).collect();
    ports.sort_by_key(|port| (port.number, port.protocol == Protocol::Udp));
    ports.dedup();
    ports
}
