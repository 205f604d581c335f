//! Records before a header that change what it says.

use std::io;
use std::mem::take;

use super::header::Header;
use super::pax::Records;

/// Records before a header that change what it says.
#[derive(Default)]
pub(super) struct Overrides {
    pub(super) records: Records,
    /// GNU long names, which win over PAX records.
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
}

impl Overrides {
    pub(super) fn apply(&self, header: &mut Header) -> io::Result<()> {
        let Self { records, name, link } = self;
        let text = |key: &[u8], long: &Option<Vec<u8>>| {
            let long = long.clone().filter(|long| !long.is_empty());
            long.or_else(|| records.get(key).map(<[u8]>::to_vec))
        };
        header.name = text(b"path", name).unwrap_or(std::mem::take(&mut header.name));
        header.link = text(b"linkpath", link).unwrap_or(std::mem::take(&mut header.link));
        header.size = records.number("size")?.unwrap_or(header.size);
        header.uid = records.number("uid")?.unwrap_or(header.uid);
        header.gid = records.number("gid")?.unwrap_or(header.gid);
        header.mtime = records.seconds("mtime")?.unwrap_or(header.mtime);
        for (key, name) in [("uname", &mut header.uname), ("gname", &mut header.gname)] {
            *name = records.get(key.as_bytes()).map_or_else(|| take(name), <[u8]>::to_vec);
        }
        for unused in ["atime", "ctime"] {
            records.seconds(unused)?;
        }
        Ok(())
    }
}
