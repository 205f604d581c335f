//! Sockets that listen, as the kernel lists them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::conditions::{Port, Protocol};

/// A socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    /// The address; one of IPv6 may have IPv4 clients, too.
    pub address: IpAddr,
    /// The port.
    pub port: Port,
}

impl Socket {
    /// Parses a line of the kernel's table of sockets: `tcp`, `tcp6`, `udp` or `udp6`, the name of
    /// its file in `/proc/net`. Returns `None` for a socket that does not listen.
    pub(crate) fn parse(table: &str, line: &str) -> Option<Self> {
        // The states of TCP are 0A for LISTEN; UDP sockets without a peer have 07, CLOSE.
        let (protocol, listening) = match table {
            "tcp" | "tcp6" => (Protocol::Tcp, "0A"),
            "udp" | "udp6" => (Protocol::Udp, "07"),
            _ => return None,
        };
        // Number, own address, address of the peer, state.
        let mut fields = line.split_whitespace().skip(1);
        let (address, number) = fields.next()?.split_once(':')?;
        if fields.nth(1)? != listening {
            return None;
        }
        let number = u16::from_str_radix(number, 16).ok()?;
        Some(Self { address: parse_address(address)?, port: Port { number, protocol } })
    }

    /// Whether only the container itself reaches the socket.
    pub(crate) fn is_loopback(&self) -> bool {
        // Programs in Java listen on ::ffff:127.0.0.1.
        self.address.to_canonical().is_loopback()
    }
}

/// Parses an address: hexadecimal, as 32-bit words in the byte order of the CPU, which is
/// little-endian in all guests.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bytes = hex::decode(text).ok()?;
    let swapped: Vec<u8> = bytes.chunks(4).flat_map(|word| word.iter().rev().copied()).collect();
    Some(match <[u8; 4]>::try_from(&swapped[..]) {
        Ok(bytes) => IpAddr::V4(Ipv4Addr::from(bytes)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(&swapped[..]).ok()?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // As Linux 6.18 has printed them, without the spaces at the end of lines.
    const TCP: &str = "\
        \x20 sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  \
        timeout inode\n\
        \x20  0: 0100007F:DF33 00000000:0000 0A 00000000:00000001 00:00000000 00000000     \
        0        0 6622148 2 00000000aba3bb19 100 0 0 10 0\n\
        \x20  4: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     \
        0        0 479 1 000000003584cfe0 100 0 0 10 0\n\
        \x20  6: 0100007F:AFC7 0100007F:B714 06 00000000:00000000 03:00000C7A 00000000     \
        0        0 0 3 00000000ec77a144\n\
        \x20 86: 0100007F:AAA8 0100007F:DF33 01 00000000:00000000 00:00000000 00000000     \
        0        0 6622149 2 0000000034b2129d 21 0 0 10 -1\n\
        ";
    const TCP6: &str = "\
        \x20 sl  local_address                         remote_address                        st \
        tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        \x20  0: 0000000000000000FFFF00000100007F:1F45 00000000000000000000000000000000:0000 0A \
        00000000:00000000 00:00000000 00000000     0        0 6622151 1 00000000c12a48a2 100 \
        0 0 10 0\n\
        \x20  1: 00000000000000000000000000000000:1F47 00000000000000000000000000000000:0000 0A \
        00000000:00000000 00:00000000 00000000     0        0 6622153 1 000000009a0db83c 100 \
        0 0 10 0\n\
        \x20  2: 00000000000000000000000001000000:1F46 00000000000000000000000000000000:0000 0A \
        00000000:00000000 00:00000000 00000000     0        0 6622152 1 00000000d0f4c333 100 \
        0 0 10 0\n\
        ";
    const UDP: &str = "\
        \x20  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  \
        timeout inode ref pointer drops\n\
        \x208492: 00000000:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000     \
        0        0 6622150 2 0000000025de941b 0\n\
        ";
    const UDP6: &str = "\
        \x20 sl  local_address                         remote_address                        st \
        tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
        \x208493: 00000000000000000000000001000000:14EA 00000000000000000000000000000000:0000 07 \
        00000000:00000000 00:00000000 00000000     0        0 6622154 2 00000000d409b6b1 0\n\
        ";

    /// The listening sockets in a table.
    fn listening(table: &str, content: &str) -> Vec<(String, Port)> {
        let sockets = content.lines().filter_map(|line| Socket::parse(table, line));
        sockets.map(|socket| (socket.address.to_string(), socket.port)).collect()
    }

    fn tcp(address: &str, number: u16) -> (String, Port) {
        (address.to_owned(), number.into())
    }

    fn udp(address: &str, number: u16) -> (String, Port) {
        (address.to_owned(), Port::udp(number))
    }

    #[test]
    fn tables_of_the_kernel_name_the_sockets_that_listen() {
        assert_eq!(listening("tcp", TCP), [tcp("127.0.0.1", 57139), tcp("0.0.0.0", 2024)]);
        assert_eq!(
            listening("tcp6", TCP6),
            [tcp("::ffff:127.0.0.1", 8005), tcp("::", 8007), tcp("::1", 8006)]
        );
        assert_eq!(listening("udp", UDP), [udp("0.0.0.0", 5353)]);
        assert_eq!(listening("udp6", UDP6), [udp("::1", 5354)]);
        assert_eq!(listening("raw", TCP), []);
    }

    #[test]
    fn loopback_addresses_are_those_of_both_protocols() {
        let is_loopback = |address: &str| {
            Socket { address: address.parse().unwrap(), port: 80.into() }.is_loopback()
        };
        assert!(
            ["127.0.0.1", "127.0.0.11", "::1", "::ffff:127.0.0.1"].iter().all(|it| is_loopback(it))
        );
        assert!(!["0.0.0.0", "::", "::ffff:10.0.0.1"].iter().any(|it| is_loopback(it)));
    }
}
