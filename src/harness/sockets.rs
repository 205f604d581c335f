//! The sockets and processes of a container, as the kernel of the guest sees them: the image needs
//! no program for it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::daemon::Daemon;
use super::error::HarnessError;
use crate::conditions::Protocol;
use crate::engine::{Container, EngineError};

/// Prints the listening sockets in the network namespace with an address and the programs of the
/// container with an ID, one in each line. A socket that only processes of other containers have
/// open begins with `other`: the containers of a pod share the namespace.
const SCRIPT: &str = r#"
my ($address, $id) = @ARGV;
my (%inside, %read, @sockets, %own, %other);
for my $process (map { m{(\d+)} } glob "/proc/[0-9]*") {
    my $namespace = readlink "/proc/$process/ns/net" or next;
    if (!exists $inside{$namespace}) {
        open my $routes, "<", "/proc/$process/net/fib_trie" or next;
        my $text = do { local $/; <$routes> };
        $inside{$namespace} = $text =~ m{\|-- \Q$address\E\s+/32 host LOCAL} ? 1 : 0;
    }
    next unless $inside{$namespace};
    open my $cgroups, "<", "/proc/$process/cgroup" or next;
    my $is_own = grep { /\Q$id\E/ } <$cgroups>;
    for my $file (glob "/proc/$process/fd/*") {
        next unless (readlink $file // "") =~ /^socket:\[(\d+)\]$/;
        ($is_own ? $own{$1} : $other{$1}) = 1;
    }
    for my $protocol ($read{$namespace}++ ? () : qw(tcp tcp6 udp udp6)) {
        open my $sockets, "<", "/proc/$process/net/$protocol" or next;
        <$sockets>;
        while (<$sockets>) {
            my @fields = split;
            my $listens = $protocol =~ /^tcp/ ? $fields[3] eq "0A" : $fields[3] eq "07";
            push @sockets, [$fields[9], "$protocol $fields[1]"] if $listens;
        }
    }
    open my $name, "<", "/proc/$process/comm" or next;
    print "process ", scalar <$name> if $is_own;
}
for my $socket (@sockets) {
    my ($inode, $line) = @$socket;
    print $other{$inode} && !$own{$inode} ? "other " : "", "$line\n";
}
"#;
/// The time limit of the script.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(30);

/// A listening socket: protocol, address, port.
pub(crate) type Socket = (String, IpAddr, u16);

/// Returns the name of a socket's protocol without its version of IP: the kernel calls those of
/// IPv6 tcp6 and udp6.
pub(crate) fn transport(protocol: &str) -> &'static str {
    if protocol.starts_with("udp") { "udp" } else { "tcp" }
}

/// The sockets and processes of a container.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Inside {
    /// Its listening sockets.
    pub sockets: Vec<Socket>,
    /// The listening sockets of other containers in its pod.
    pub of_others: Vec<Socket>,
    /// The names of its processes.
    pub processes: Vec<String>,
}

impl Inside {
    /// The addresses of the sockets that listen on this port.
    pub(crate) fn listening(&self, protocol: Protocol, port: u16) -> impl Iterator<Item = IpAddr> {
        // The kernel calls those of IPv6 tcp6 and udp6.
        let protocol = protocol.to_string();
        let found = self
            .sockets
            .iter()
            .filter(move |(name, _, number)| name.starts_with(&protocol) && *number == port);
        found.map(|(_, address, _)| *address)
    }

    /// Whether the port is reached from outside of the container.
    pub(crate) fn is_reachable(&self, protocol: Protocol, port: u16) -> bool {
        self.listening(protocol, port).any(|address| !address.is_loopback())
    }
}

/// Looks into `container`.
pub(crate) async fn look(daemon: &Daemon, container: &Container) -> Result<Inside, HarnessError> {
    let address = match container.address().await {
        Err(EngineError::NoAddress) => return Ok(Inside::default()),
        address => address?,
    };
    let arguments = ["-e", SCRIPT, &address, container.id()];
    let output = daemon.guest_run("/usr/bin/perl", &arguments, SCRIPT_TIMEOUT).await?;
    Ok(parse(&output.stdout))
}

fn parse(output: &str) -> Inside {
    let mut inside = Inside::default();
    for (kind, rest) in output.lines().filter_map(|line| line.split_once(' ')) {
        match kind {
            "process" => inside.processes.push(rest.to_owned()),
            "other" => inside.of_others.extend(rest.split_once(' ').and_then(socket)),
            _ => inside.sockets.extend(socket((kind, rest))),
        }
    }
    inside
}

/// Parses a socket. `text` is `ADDRESS:PORT` as `/proc/net/tcp` has it: hexadecimal, the address as
/// 32-bit words in the byte order of the CPU, which is little-endian in all guests.
fn socket((protocol, text): (&str, &str)) -> Option<Socket> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let bytes = hex::decode(address).ok()?;
    let swapped: Vec<u8> = bytes.chunks(4).flat_map(|word| word.iter().rev().copied()).collect();
    let address = match <[u8; 4]>::try_from(&swapped[..]) {
        Ok(bytes) => IpAddr::V4(Ipv4Addr::from(bytes)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(&swapped[..]).ok()?)),
    };
    Some((protocol.to_owned(), address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_read_as_the_kernel_writes_them() {
        // Lines of /proc/net/tcp and /proc/net/tcp6 on x86-64: proc_pid_net(5).
        let inside = parse(
            "tcp 0100007F:1F41\ntcp6 00000000000000000000000000000000:0050\n\
             tcp6 00000000000000000000000001000000:0016\nprocess nginx\nprocess a b\nudp x\n\
             other tcp 00000000:1538\n",
        );
        let socket = |protocol: &str, address: &str, port| {
            (protocol.to_owned(), address.parse::<IpAddr>().unwrap(), port)
        };
        let sockets =
            [socket("tcp", "127.0.0.1", 8001), socket("tcp6", "::", 80), socket("tcp6", "::1", 22)];
        assert_eq!(inside.sockets, sockets);
        assert_eq!(inside.of_others, [socket("tcp", "0.0.0.0", 5432)]);
        assert_eq!(inside.processes, ["nginx", "a b"]);
    }
}
