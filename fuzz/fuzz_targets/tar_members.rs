//! Any bytes as a tar, with right checksums.
//!
//! Invariant: reading never panics; members and errors are the same if contents are read and if
//! they are skipped; each content has the size that its member states, and all that are not
//! sparse are together not larger than the tar; paths of a layer that is made of it can be
//! resolved.
#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use seatrial::archive::Limits;
use seatrial::archive::decompress::CountingReader;
use seatrial::archive::layer_tree::LayerTree;
use seatrial::archive::resolve::resolve;
use seatrial::archive::tar::{Member, Skip, TarReader};
use seatrial::archive::tree::Tree;
use seatrial_fuzz::rawtar;

fuzz_target!(|data: &[u8]| {
    let mut tar = data.to_vec();
    rawtar::repair(&mut tar);
    let (skipped, skip_failed) = skipped(Seekable(&tar));
    let (skipped_by_reading, _) = self::skipped(CountingReader::new(&tar[..]));
    let (read, read_failed) = read(Seekable(&tar));
    assert_eq!(skip_failed, read_failed);
    assert_eq!(format!("{skipped:?}"), format!("{read:?}"));
    assert_eq!(format!("{skipped:?}"), format!("{skipped_by_reading:?}"));
    // A sparse file is larger than its data.
    let stored = read.iter().filter(|member| !member.sparse);
    let total: u64 = stored.map(|member| member.size).sum();
    assert!(read_failed || total <= tar.len() as u64, "{total} bytes in {}", tar.len());
    if let Ok(layer) = LayerTree::read(&mut TarReader::new(Seekable(&tar)), &Limits::default()) {
        let tree = Tree::from_layers([layer]);
        for member in read {
            let _ = resolve(&member.path, |path| tree.get(path));
        }
    }
});

/// A reader that skips without reading.
struct Seekable<'a>(&'a [u8]);

impl Read for Seekable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Skip for Seekable<'_> {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        let count = usize::try_from(count).ok().filter(|count| *count <= self.0.len());
        self.0 = &self.0[count.ok_or(io::ErrorKind::UnexpectedEof)?..];
        Ok(())
    }
}

/// The members, and whether there was an error behind them.
fn skipped(source: impl Skip) -> (Vec<Member>, bool) {
    let mut reader = TarReader::new(source);
    let mut members = Vec::new();
    loop {
        match reader.next_member() {
            Ok(Some(member)) => members.push(member),
            end => return (members, end.is_err()),
        }
    }
}

fn read(source: impl Skip) -> (Vec<Member>, bool) {
    let mut reader = TarReader::new(source);
    let mut members = Vec::new();
    loop {
        match reader.next_member() {
            Ok(Some(member)) => {
                let (size, sparse) = (member.size, member.sparse);
                members.push(member);
                if sparse && size > 1 << 20 {
                    continue; // Reading holes takes time.
                }
                match io::copy(&mut reader, &mut io::sink()) {
                    Ok(count) => assert_eq!(count, size),
                    Err(_) => {
                        // The content is cut short, which skipping reports at the next member.
                        return (members, true);
                    }
                }
            }
            end => return (members, end.is_err()),
        }
    }
}
