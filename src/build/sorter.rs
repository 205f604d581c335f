//! Sorts what is placed in a layer in bounded memory: sorted runs of it, which lie in temporary files when there
//! are many, are merged.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use crate::archive::ArchiveError;
use crate::archive::entry::{Entry, path_order};
use crate::archive::layer::file_list_failed;
use crate::archive::spool::{Spool, SpoolWriter};

/// Something that contents put into a layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Placed {
    pub(super) entry: Entry,
    /// The content it came from, as an index.
    pub(super) origin: u32,
    /// How many were placed before it.
    number: u64,
}

/// How many are sorted at once; some 5 MB of them.
const RUN: usize = 32 << 10;
/// How many runs are merged at once; each is an open file.
const RUNS: usize = 64;

#[derive(Debug)]
pub(super) struct Sorter {
    pending: Vec<Placed>,
    runs: Vec<Spool<Placed>>,
    number: u64,
    limits: (usize, usize),
}

impl Default for Sorter {
    fn default() -> Self {
        Self { pending: Vec::new(), runs: Vec::new(), number: 0, limits: (RUN, RUNS) }
    }
}

/// What was placed, by path, and in the order of placing where paths are the same.
#[derive(Debug)]
pub(super) struct Sorted {
    last: Vec<Placed>,
    runs: Vec<Spool<Placed>>,
}

fn order(a: &Placed, b: &Placed) -> Ordering {
    path_order(&a.entry.path, &b.entry.path).then(a.number.cmp(&b.number))
}

impl Sorter {
    pub(super) fn push(&mut self, entry: Entry, origin: u32) -> Result<(), ArchiveError> {
        self.pending.push(Placed { entry, origin, number: self.number });
        self.number += 1;
        if self.pending.len() >= self.limits.0 {
            self.pending.sort_unstable_by(order);
            let run = std::mem::take(&mut self.pending).into_iter().map(Ok);
            self.runs.push(spooled(run)?);
        }
        if self.runs.len() >= self.limits.1 {
            let merged = merged(Vec::new(), &self.runs)?;
            self.runs = vec![spooled(merged)?];
        }
        Ok(())
    }

    pub(super) fn sorted(mut self) -> Sorted {
        self.pending.sort_unstable_by(order);
        Sorted { last: self.pending, runs: self.runs }
    }
}

impl Sorted {
    /// All of it, in order.
    pub(super) fn iter(
        &self,
    ) -> Result<impl Iterator<Item = Result<Placed, ArchiveError>>, ArchiveError> {
        merged(self.last.clone(), &self.runs)
    }
}

fn spooled(
    run: impl Iterator<Item = Result<Placed, ArchiveError>>,
) -> Result<Spool<Placed>, ArchiveError> {
    let mut writer = SpoolWriter::new(0);
    for placed in run {
        writer.push(&placed?).map_err(file_list_failed)?;
    }
    writer.finish().map_err(file_list_failed)
}

/// The first of a run that was not taken yet, and which run that is.
struct Head(Placed, usize);

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.0, &other.0)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

type Run = Box<dyn Iterator<Item = Result<Placed, ArchiveError>> + Send>;

fn merged(
    last: Vec<Placed>,
    runs: &[Spool<Placed>],
) -> Result<impl Iterator<Item = Result<Placed, ArchiveError>> + use<>, ArchiveError> {
    let mut all: Vec<Run> = vec![Box::new(last.into_iter().map(Ok))];
    all.extend(
        runs.iter()
            .map(|run| Box::new(run.iter().map(|read| read.map_err(file_list_failed))) as Run),
    );
    let mut heads = BinaryHeap::new();
    for (index, run) in all.iter_mut().enumerate() {
        heads.extend(run.next().transpose()?.map(|placed| Reverse(Head(placed, index))));
    }
    Ok(std::iter::from_fn(move || {
        let Reverse(Head(placed, index)) = heads.pop()?;
        match all[index].next().transpose() {
            Ok(next) => heads.extend(next.map(|placed| Reverse(Head(placed, index)))),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(placed))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Kind;

    #[test]
    fn runs_beyond_memory_and_beyond_one_merge_come_out_in_order_and_first_placed_first() {
        let mut sorter = Sorter { limits: (100, 8), ..Sorter::default() };
        let count = 100 * 30 + 7;
        for number in 0..count {
            // Every path twice, in an order that is not the sorted one.
            let path = format!("{:08}", (number * 7919) % (count / 2 + 1));
            let entry =
                Entry { path: path.as_bytes().into(), mode: 0, kind: Kind::Fifo, attributes: None };
            sorter.push(entry, (number % 3) as u32).unwrap();
        }
        let (mut seen, mut before) = (0, None::<Placed>);
        for placed in sorter.sorted().iter().unwrap().map(Result::unwrap) {
            if let Some(before) = before {
                let paths = before.entry.path.cmp(&placed.entry.path);
                assert!(paths.then(before.number.cmp(&placed.number)).is_lt());
            }
            before = Some(placed);
            seen += 1;
        }
        assert_eq!(seen, count);
    }
}
