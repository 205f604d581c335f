//! Facts about a service that failed: what listens in its container, and what its health check
//! prints. They are looked up after the failure, and whatever cannot be found out is left out.

use std::collections::BTreeSet;

use crate::check::expectations::{Port, Protocol, ServiceExpectations};
use crate::engine::{Container, OutOfMemory};
use crate::harness::sockets::{self, Inside};
use crate::harness::{LoadedImage, exits};
use crate::{text, value};

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
    let ports = ports(expected);
    if !state.running || ports.is_empty() {
        return hints;
    }
    if let Ok(inside) = sockets::look(image.daemon(), container).await {
        let exposed = image.inspect().await.map(|facts| facts.exposed_ports).unwrap_or_default();
        hints.extend(ports.into_iter().filter_map(|port| of_port(port, &inside, &exposed)));
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

/// Explains why nothing outside of the container reaches the port, if that is so.
fn of_port(port: Port, inside: &Inside, exposed: &[String]) -> Option<String> {
    let Port { number, protocol } = port;
    let mut here = inside.listening(protocol, number).peekable();
    if let Some(address) = here.peek() {
        let address = *address;
        return here.all(|address| address.is_loopback()).then(|| {
            format!(
                "port {number} listens on {address} only, which nothing outside of the container \
                 reaches; let the service listen on 0.0.0.0"
            )
        });
    }
    let name = protocol.to_string();
    let others = inside.sockets.iter().filter(|(protocol, ..)| protocol.starts_with(&name));
    let others: BTreeSet<u16> = others.map(|(_, _, number)| *number).collect();
    let others = others.iter().map(|number| format!("{number}/{name}"));
    let mut hint = match protocol {
        Protocol::Tcp => format!("nothing listens on {number}"),
        Protocol::Udp => format!("nothing listens on {number}/udp"),
    };
    match text::list(others) {
        others if others.is_empty() => {
            hint += &format!(", nor on any other {} port", name.to_uppercase());
        }
        others => hint += &format!("; the service listens on {others}"),
    }
    if !exposed.is_empty() {
        hint += &format!("; the image exposes {}", text::list(exposed));
    }
    Some(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(sockets: &[(&str, &str, u16)]) -> Inside {
        let socket = |(protocol, address, port): &(&str, &str, u16)| {
            ((*protocol).to_owned(), address.parse().unwrap(), *port)
        };
        Inside { sockets: sockets.iter().map(socket).collect(), processes: Vec::new() }
    }

    #[test]
    fn a_port_that_nothing_reaches_is_explained() {
        let exposed = ["8000/tcp".to_owned()];
        for (sockets, hint) in [
            (&[("tcp", "0.0.0.0", 8001)][..], None),
            (&[("tcp", "127.0.0.1", 8001), ("tcp6", "::", 8001)], None),
            (
                &[],
                Some(
                    "nothing listens on 8001, nor on any other TCP port; \
                     the image exposes 8000/tcp",
                ),
            ),
            (
                &[("tcp", "0.0.0.0", 8000), ("udp", "0.0.0.0", 8001)],
                Some(
                    "nothing listens on 8001; the service listens on 8000/tcp; \
                     the image exposes 8000/tcp",
                ),
            ),
            (
                &[("tcp", "127.0.0.1", 8001)],
                Some(
                    "port 8001 listens on 127.0.0.1 only, which nothing outside of the container \
                     reaches; let the service listen on 0.0.0.0",
                ),
            ),
        ] {
            let port = Port { number: 8001, protocol: Protocol::Tcp };
            assert_eq!(of_port(port, &inside(sockets), &exposed).as_deref(), hint);
        }
        let port = Port { number: 8001, protocol: Protocol::Udp };
        let hint = of_port(port, &inside(&[("tcp", "::", 8001), ("udp6", "::", 53)]), &[]);
        assert_eq!(
            hint.as_deref(),
            Some("nothing listens on 8001/udp; the service listens on 53/udp")
        );
        assert_eq!(of_port(port, &inside(&[("udp6", "::", 8001)]), &[]), None);
    }
}
