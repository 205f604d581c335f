//! Entries of `ExposedPorts` (OCI image-spec, `config.md`), also with ranges, as in Docker's
//! `EXPOSE`.

use std::fmt;

/// The protocols that an entry may have.
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// One entry: `PORT[-PORT][/PROTOCOL]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExposedPorts {
    first: u16,
    last: u16,
    /// `None` if the entry does not name one.
    protocol: Option<&'static str>,
}

impl ExposedPorts {
    /// Reads an entry; `None` if no engine accepts it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|port| is_number && *port > 0)
        };
        let (ports, protocol) = match text.split_once('/') {
            None => (text, None),
            Some((ports, protocol)) => {
                let protocol = protocol.to_ascii_lowercase();
                (ports, Some(*PROTOCOLS.iter().find(|known| **known == protocol)?))
            }
        };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let (first, last) = (number(first)?, number(last)?);
        (first <= last).then_some(Self { first, last, protocol })
    }
}

/// Comparisons, for expectations.
#[cfg(feature = "vm")]
impl ExposedPorts {
    /// The same entry of an image, where TCP is meant if there is no protocol.
    pub(crate) fn of_image(self) -> Self {
        Self { protocol: self.protocol.or(Some("tcp")), ..self }
    }

    /// The number and the protocol, unless the entry has several ports or no protocol.
    pub(crate) fn single(self) -> Option<(u16, &'static str)> {
        Some((self.first, self.protocol?)).filter(|_| self.first == self.last)
    }

    /// Whether both have a port in common. An entry without a protocol has all protocols.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let same = match (self.protocol, other.protocol) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        same && self.first <= other.last && other.first <= self.last
    }

    /// Whether each port of this entry is among `others`.
    pub(crate) fn is_within(&self, others: &[Self]) -> bool {
        let mut ranges: Vec<&Self> = others.iter().filter(|other| self.overlaps(other)).collect();
        ranges.sort();
        let mut next = u32::from(self.first);
        for range in ranges {
            if u32::from(range.first) > next {
                break;
            }
            next = next.max(u32::from(range.last) + 1);
        }
        next > u32::from(self.last)
    }
}

impl fmt::Display for ExposedPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last > self.first {
            write!(f, "-{}", self.last)?;
        }
        self.protocol.map_or(Ok(()), |protocol| write!(f, "/{protocol}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "vm")]
    fn ports(text: &str) -> ExposedPorts {
        ExposedPorts::parse(text).unwrap()
    }

    #[test]
    fn ports_have_a_number_or_a_range_and_a_protocol() {
        for valid in ["80", "80/tcp", "53/UDP", "9/sctp", "8000-8010/tcp", "65535"] {
            assert!(ExposedPorts::parse(valid).is_some(), "{valid}");
        }
        for invalid in ["", "0", "65536", "+80", "80/", "80/http", "9-8", "tcp/80", "80/tcp/", "-"]
        {
            assert!(ExposedPorts::parse(invalid).is_none(), "{invalid}");
        }
    }

    #[cfg(feature = "vm")]
    #[test]
    fn without_a_protocol_an_image_means_tcp_and_an_expectation_means_any() {
        assert_eq!(ports("443").of_image().to_string(), "443/tcp");
        assert_eq!(ports("53/udp").of_image().to_string(), "53/udp");
        assert!(ports("443").overlaps(&ports("443/udp")));
        assert!(!ports("443/tcp").overlaps(&ports("443/udp")));
    }

    #[cfg(feature = "vm")]
    #[test]
    fn a_range_is_within_ranges_that_touch() {
        let exposed = ["8006-8010/tcp", "8000-8005/tcp", "9/udp"].map(ports);
        assert!(ports("8001").is_within(&exposed) && ports("8000-8010/tcp").is_within(&exposed));
        assert!(!ports("8000-8011/tcp").is_within(&exposed));
        assert!(!ports("8001/udp").is_within(&exposed) && !ports("9/tcp").is_within(&exposed));
        assert!(ports("1-65535").is_within(&[ports("1-65535/tcp")]));
    }
}
