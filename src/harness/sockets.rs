//! The sockets and processes of a container, as the kernel of the guest sees them: the image needs
//! no program for it.

use std::time::Duration;

use super::daemon::Daemon;
use super::error::HarnessError;
use crate::conditions::Port;
use crate::engine::Container;
use crate::vm::instance::Socket;

/// Prints the listening sockets in the network namespace of the container with an ID, and its
/// programs, one in each line: a socket as its table and the line of the kernel there. A socket
/// that only processes of other containers have open begins with `other`: the containers of a pod
/// share the namespace.
const SCRIPT: &str = r#"
my ($id) = @ARGV;
my (%processes, %is_own, %inside, %read, @sockets, %own, %other);
for my $process (map { m{(\d+)} } glob "/proc/[0-9]*") {
    my $namespace = readlink "/proc/$process/ns/net" or next;
    $processes{$process} = $namespace;
    open my $cgroups, "<", "/proc/$process/cgroup" or next;
    next unless grep { /\Q$id\E/ } <$cgroups>;
    open my $status, "<", "/proc/$process/status" or next;
    # The monitor of a container is in no PID namespace of it.
    my ($number) = map { /^NSpid:\t\d+\t(\d+)/ } <$status> or next;
    $is_own{$process} = 1;
    $inside{$namespace} = 1 if $number == 1;
}
for my $process (sort { $a <=> $b } keys %processes) {
    my $namespace = $processes{$process};
    next unless $inside{$namespace};
    for my $file (glob "/proc/$process/fd/*") {
        next unless (readlink $file // "") =~ /^socket:\[(\d+)\]$/;
        ($is_own{$process} ? $own{$1} : $other{$1}) = 1;
    }
    for my $protocol ($read{$namespace}++ ? () : qw(tcp tcp6 udp udp6)) {
        open my $sockets, "<", "/proc/$process/net/$protocol" or next;
        <$sockets>;
        while (<$sockets>) {
            my @fields = split;
            # A busy service has thousands of other ones.
            push @sockets, [$fields[9], "$protocol $_"] if $fields[3] =~ /^0[7A]$/;
        }
    }
    next unless $is_own{$process};
    open my $name, "<", "/proc/$process/comm" or next;
    print "process ", scalar <$name>;
}
for my $socket (@sockets) {
    my ($inode, $line) = @$socket;
    print $other{$inode} && !$own{$inode} ? "other " : "", $line;
}
"#;
/// The time limit of the script.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(30);

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
    /// Whether the port is reached from outside of the container.
    pub(crate) fn is_reachable(&self, port: Port) -> bool {
        self.sockets.iter().any(|socket| socket.port == port && !socket.is_loopback())
    }
}

/// Returns the sockets and processes of `container`.
pub(crate) async fn inspect(
    daemon: &Daemon,
    container: &Container,
) -> Result<Inside, HarnessError> {
    let arguments = ["-e", SCRIPT, container.id()];
    let output = daemon.guest_run("/usr/bin/perl", &arguments, SCRIPT_TIMEOUT).await?;
    Ok(parse(&output.stdout))
}

fn parse(output: &str) -> Inside {
    let mut inside = Inside::default();
    let socket = |(table, line): (&str, &str)| Socket::parse(table, line);
    for (kind, rest) in output.lines().filter_map(|line| line.split_once(' ')) {
        match kind {
            "process" => inside.processes.push(rest.to_owned()),
            "other" => inside.of_others.extend(rest.split_once(' ').and_then(socket)),
            table => inside.sockets.extend(socket((table, rest))),
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_says_what_a_line_is_about() {
        let inside = parse(
            "process nginx\nprocess a b\nudp x\n\
             tcp    0: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000\n\
             other tcp    1: 00000000:1538 00000000:0000 0A 00000000:00000000 00:0000\n",
        );
        let socket = |address: &str, port: u16| Socket {
            address: address.parse().unwrap(),
            port: port.into(),
        };
        assert_eq!(inside.sockets, [socket("127.0.0.1", 8001)]);
        assert_eq!(inside.of_others, [socket("0.0.0.0", 5432)]);
        assert_eq!(inside.processes, ["nginx", "a b"]);
    }
}
