//! Hints about the ports of a service that failed: where it listens, which ports the image exposes,
//! and the next step.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use super::companions::PortsInPod;
use crate::check::expectations::Port;
use crate::harness::sockets::Inside;
use crate::text;
use crate::vm::instance::Socket;

/// The address of Docker's DNS server within a container, which does not belong to the image.
const DOCKER_DNS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
/// The next step if the service listens on a loopback address.
const LOOPBACK: &str = "let the service listen on 0.0.0.0";
/// The next step if the service listens on other ports than the image exposes.
const NOT_EXPOSED: &str = "let the service listen on an exposed port, or expose its own";

/// Returns hints about the `expected` ports that nothing outside of the container reaches. If there
/// is none, a hint says where the service listens, unless the expectations name all these ports, or
/// the image exposes them.
pub(super) fn hints(
    expected: &[Port],
    inside: &Inside,
    exposed: &[String],
    in_pod: &PortsInPod,
) -> Vec<String> {
    let (listening, of_others) = (listening(&inside.sockets), listening(&inside.of_others));
    let ports = Ports { listening, of_others, exposed, in_pod };
    let hints: Vec<String> = expected.iter().filter_map(|port| ports.hint_of(*port)).collect();
    match hints.is_empty() {
        true => ports.hint_of_all(expected).into_iter().collect(),
        false => hints,
    }
}

/// Returns hints about the ports of a service that has ended with `output`: those that it needs,
/// and that another container of its pod has. It needs the exposed ones only if `output` says that
/// one is in use.
pub(super) fn hints_after_end(
    expected: &[Port],
    exposed: &[String],
    in_pod: &PortsInPod,
    output: &str,
) -> Vec<String> {
    let is_in_use = IN_USE.iter().any(|words| output.contains(words));
    let exposed = exposed_ports(exposed).filter(|_| is_in_use);
    let ports: BTreeSet<Port> = expected.iter().copied().chain(exposed).collect();
    let taken = ports.iter().filter_map(|port| in_pod.get(port).map(|name| (port, name)));
    taken.map(|(port, name)| of_pod(Some(name), *port)).collect()
}

/// The ports that entries of `ExposedPorts` name.
fn exposed_ports(entries: &[String]) -> impl Iterator<Item = Port> {
    entries.iter().filter_map(|entry| Port::of_exposed(entry))
}

/// Says which container of the pod listens on `port`.
fn of_pod(name: Option<&String>, port: Port) -> String {
    let container = name.map_or("another container".to_owned(), |name| format!("container {name}"));
    format!(
        "{container} of the pod listens on {port}, and the containers of a pod share their ports; \
         let the service listen on another port"
    )
}

/// Ports on which something listens, and the address if only the container itself reaches it.
type Listening = BTreeMap<Port, Option<IpAddr>>;

/// The words of programs that cannot listen on a port because another one does.
const IN_USE: [&str; 3] = ["already in use", "EADDRINUSE", "Address in use"];

/// The ports of a container.
struct Ports<'a> {
    /// Those on which it listens.
    listening: Listening,
    /// Those on which other containers in its pod listen.
    of_others: Listening,
    /// Those that the image exposes, such as `80/tcp`.
    exposed: &'a [String],
    /// The names of other containers in the pod, by port.
    in_pod: &'a PortsInPod,
}

fn listening(sockets: &[Socket]) -> Listening {
    let mut ports = BTreeMap::new();
    for socket in sockets.iter().filter(|socket| socket.address != DOCKER_DNS) {
        let only = ports.entry(socket.port).or_insert(Some(socket.address));
        *only = only.filter(|_| socket.is_loopback());
    }
    ports
}

impl Ports<'_> {
    /// Explains why nothing outside of the container reaches the port, if that is so.
    fn hint_of(&self, port: Port) -> Option<String> {
        if let Some(only) = self.listening.get(&port) {
            return only.map(|address| {
                format!(
                    "port {} listens on {address} only, which nothing outside of the \
                     container reaches; {LOOPBACK}",
                    port.number
                )
            });
        }
        if self.of_others.contains_key(&port) {
            return Some(of_pod(self.in_pod.get(&port), port));
        }
        let others = self.listening.iter().filter(|(other, _)| other.protocol == port.protocol);
        let others = text::list(others.map(|(port, only)| shown(port, only)));
        let exposed = self.exposed();
        Some(match others.is_empty() {
            true => format!(
                "nothing listens on {port}, nor on any other {} port{exposed}; the output of the \
                 service may show why; if it needs more time, raise the timeout",
                port.protocol.to_string().to_uppercase()
            ),
            false => format!(
                "nothing listens on {port}; the service listens on {others}{exposed}; let the \
                 service listen on {port}, or expect another port"
            ),
        })
    }

    /// Says where the service listens and which ports the image exposes, unless it listens on the
    /// `expected` and the exposed ports alone.
    fn hint_of_all(&self, expected: &[Port]) -> Option<String> {
        let exposed: Vec<_> = exposed_ports(self.exposed).collect();
        let is_known = |port: &Port| exposed.contains(port) || expected.contains(port);
        let listening = text::list(self.listening.iter().map(|(port, only)| shown(port, only)));
        if listening.is_empty() {
            return (!self.exposed.is_empty()).then(|| {
                let exposed = self.exposed();
                format!("the service listens on no port{exposed}; its output may show why")
            });
        }
        let known = format!("the service listens on {listening}{}", self.exposed());
        match self.next_step() {
            Some(step) => Some(format!("{known}; {step}")),
            None => (!self.listening.keys().all(is_known)).then_some(known),
        }
    }

    /// The next step if nothing outside of the container reaches an exposed port.
    fn next_step(&self) -> Option<&'static str> {
        let exposed: Vec<_> = exposed_ports(self.exposed).collect();
        let found = |port: &Port| self.listening.get(port);
        if exposed.iter().any(|port| matches!(found(port), Some(Some(_)))) {
            return Some(LOOPBACK);
        }
        exposed.iter().any(|port| found(port).is_none()).then_some(NOT_EXPOSED)
    }

    /// The end of a sentence about the ports that the image exposes.
    fn exposed(&self) -> String {
        match self.exposed {
            [] => String::new(),
            exposed => format!("; the image exposes {}", text::list(exposed)),
        }
    }
}

fn shown(port: &Port, only: &Option<IpAddr>) -> String {
    let Port { number, protocol } = port;
    match only {
        Some(address) => format!("{number}/{protocol} (on {address} only)"),
        None => format!("{number}/{protocol}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::expectations::Protocol;

    fn inside(sockets: &[(&str, &str, u16)]) -> Inside {
        let socket = |(protocol, address, number): &(&str, &str, u16)| Socket {
            address: address.parse().unwrap(),
            port: Port { number: *number, protocol: Protocol::named(protocol).unwrap() },
        };
        Inside { sockets: sockets.iter().map(socket).collect(), ..Inside::default() }
    }

    fn of(expected: &[Port], sockets: &[(&str, &str, u16)], exposed: &[&str]) -> Vec<String> {
        let exposed: Vec<String> = exposed.iter().map(ToString::to_string).collect();
        hints(expected, &inside(sockets), &exposed, &PortsInPod::new())
    }

    const HTTP: Port = Port { number: 8001, protocol: Protocol::Tcp };

    #[test]
    fn a_port_that_nothing_reaches_is_explained() {
        let hint = |sockets: &[_]| of(&[HTTP], sockets, &["8001/tcp"]).join("\n");
        assert_eq!(hint(&[("tcp", "0.0.0.0", 8001)]), "");
        assert_eq!(hint(&[("tcp", "127.0.0.1", 8001), ("tcp", "::", 8001)]), "");
        assert_eq!(
            hint(&[]),
            "nothing listens on 8001, nor on any other TCP port; the image exposes 8001/tcp; the \
             output of the service may show why; if it needs more time, raise the timeout"
        );
        assert_eq!(
            hint(&[("tcp", "0.0.0.0", 8000), ("udp", "0.0.0.0", 8001)]),
            "nothing listens on 8001; the service listens on 8000/tcp; the image exposes \
             8001/tcp; let the service listen on 8001, or expect another port"
        );
        assert_eq!(
            hint(&[("tcp", "127.0.0.1", 8001)]),
            "port 8001 listens on 127.0.0.1 only, which nothing outside of the container reaches; \
             let the service listen on 0.0.0.0"
        );
        assert!(hint(&[("tcp", "::ffff:127.0.0.1", 8001)]).contains("on ::ffff:127.0.0.1 only"));
        let datagrams = Port { number: 8001, protocol: Protocol::Udp };
        let hint = "nothing listens on 8001/udp; the service listens on 53/udp; let the service \
                    listen on 8001/udp, or expect another port";
        let sockets = [("tcp", "::", 8001), ("udp", "::", 53)];
        assert_eq!(of(&[datagrams], &sockets, &[]), [hint]);
        assert_eq!(of(&[datagrams], &[("udp", "::", 8001)], &[]), [""; 0]);
    }

    #[test]
    fn ports_of_other_containers_in_the_pod_are_not_those_of_the_service() {
        let service = inside(&[("tcp", "0.0.0.0", 8000)]);
        let pod = |sockets| Inside { of_others: inside(sockets).sockets, ..inside(&[]) };
        let beside = Inside { of_others: pod(&[("tcp", "::", 5432)]).of_others, ..service };
        let hint = "nothing listens on 8001; the service listens on 8000/tcp; let the service \
                    listen on 8001, or expect another port";
        let hints = |expected: &[Port], inside: &Inside| {
            hints(expected, inside, &[], &PortsInPod::from([(5432.into(), "db".to_owned())]))
        };
        assert_eq!(hints(&[HTTP], &beside), [hint]);
        let hint = "another container of the pod listens on 8001, and the containers of a pod \
                    share their ports; let the service listen on another port";
        assert_eq!(hints(&[HTTP], &pod(&[("tcp", "0.0.0.0", 8001)])), [hint]);
        assert_eq!(hints(&[], &pod(&[("tcp", "0.0.0.0", 8001)])), [""; 0]);
        let named = hints(&[5432.into()], &pod(&[("tcp", "0.0.0.0", 5432)]));
        assert!(named[0].starts_with("container db of the pod listens on 5432, and"), "{named:?}");
    }

    #[test]
    fn a_service_that_ended_because_its_port_is_in_use_has_a_hint_which_container_has_it() {
        let in_pod = PortsInPod::from([(6379.into(), "auth".to_owned())]);
        let exposed = ["6379/tcp".to_owned()];
        let of = |expected: &[Port], output| hints_after_end(expected, &exposed, &in_pod, output);
        let hint = "container auth of the pod listens on 6379, and the containers of a pod share \
                    their ports; let the service listen on another port";
        assert_eq!(of(&[], "bind: Address already in use"), [hint]);
        assert_eq!(of(&[6379.into()], "no words"), [hint]);
        assert_eq!(of(&[6379.into()], "bind: Address already in use"), [hint]);
        assert_eq!(of(&[HTTP], "no config"), [""; 0]);
    }

    #[test]
    fn a_service_without_expected_ports_has_a_hint_where_it_listens() {
        for (sockets, exposed, hint) in [
            (
                &[("tcp", "0.0.0.0", 8000)][..],
                "8001/tcp",
                "the service listens on 8000/tcp; the image exposes 8001/tcp; let the service \
                 listen on an exposed port, or expose its own",
            ),
            (
                &[("tcp", "127.0.0.1", 80), ("udp", "::", 53)],
                "80",
                "the service listens on 53/udp, 80/tcp (on 127.0.0.1 only); the image exposes 80; \
                 let the service listen on 0.0.0.0",
            ),
            (
                &[("tcp", "::", 80), ("tcp", "::", 81)],
                "80/tcp",
                "the service listens on 80/tcp, 81/tcp; the image exposes 80/tcp",
            ),
            (
                &[],
                "80/tcp",
                "the service listens on no port; the image exposes 80/tcp; its output may show why",
            ),
        ] {
            assert_eq!(of(&[], sockets, &[exposed]), [hint]);
        }
        assert_eq!(of(&[], &[("udp", "127.0.0.11", 40_000)], &[]), [""; 0]);
        // Nothing is wrong with the ports.
        assert_eq!(of(&[], &[("tcp", "::", 80)], &["80/tcp"]), [""; 0]);
    }

    #[test]
    fn a_reached_port_has_a_hint_only_if_there_are_other_ports() {
        let sockets = [("tcp", "::", 8001), ("tcp", "::", 9000)];
        assert_eq!(of(&[HTTP], &sockets[..1], &["8001/tcp"]), [""; 0]);
        assert_eq!(
            of(&[HTTP], &sockets, &["8001/tcp"]),
            ["the service listens on 8001/tcp, 9000/tcp; the image exposes 8001/tcp"]
        );
    }
}
