//! Sorts the placed entries of a layer in bounded memory: an external merge sort, with sorted runs
//! in temporary files.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use crate::archive::ArchiveError;
use crate::archive::entry::{Entry, path_order};
use crate::archive::layer::file_list_failed;
use crate::archive::spool::{Spool, SpoolWriter};

/// An entry that a content placed in a layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::build) struct Placed {
    pub(in crate::build) entry: Entry,
    /// The content, as an index.
    pub(in crate::build) origin: u32,
    /// The number of entries that were placed before it.
    number: u64,
}

impl Placed {
    /// The number of entries that were placed before it. Of entries of the same origin, it says
    /// which is the later one.
    pub(in crate::build) fn number(&self) -> u64 {
        self.number
    }
}

/// The number of entries in a run; they take about 5 MB.
const RUN_LENGTH: usize = 32 << 10;
/// The maximum number of runs; each is an open file.
const MAX_RUNS: usize = 64;

/// Collects entries, and sorts them by path.
#[derive(Debug)]
pub(super) struct Sorter {
    pending: Vec<Placed>,
    runs: Vec<Spool<Placed>>,
    number: u64,
    run_length: usize,
    max_runs: usize,
}

impl Default for Sorter {
    fn default() -> Self {
        Self {
            pending: Vec::new(),
            runs: Vec::new(),
            number: 0,
            run_length: RUN_LENGTH,
            max_runs: MAX_RUNS,
        }
    }
}

/// Entries sorted by path; those with the same path in the order in which they were placed.
#[derive(Debug)]
pub(in crate::build) struct Sorted {
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
        if self.pending.len() >= self.run_length {
            self.pending.sort_unstable_by(order);
            let run = std::mem::take(&mut self.pending).into_iter().map(Ok);
            self.runs.push(write_run(run)?);
        }
        if self.runs.len() >= self.max_runs {
            let merged = merge(Vec::new(), &self.runs)?;
            self.runs = vec![write_run(merged)?];
        }
        Ok(())
    }

    pub(super) fn sorted(mut self) -> Sorted {
        self.pending.sort_unstable_by(order);
        Sorted { last: self.pending, runs: self.runs }
    }
}

impl Sorted {
    /// The entries, in order.
    pub(in crate::build) fn iter(
        &self,
    ) -> Result<impl Iterator<Item = Result<Placed, ArchiveError>>, ArchiveError> {
        merge(self.last.clone(), &self.runs)
    }
}

fn write_run(
    run: impl Iterator<Item = Result<Placed, ArchiveError>>,
) -> Result<Spool<Placed>, ArchiveError> {
    let mut writer = SpoolWriter::new(0);
    for placed in run {
        writer.push(&placed?).map_err(file_list_failed)?;
    }
    writer.finish().map_err(file_list_failed)
}

/// The next entry of a run, and the index of the run.
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

fn merge(
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
    fn entries_are_sorted_by_path_and_order_of_placement_across_many_runs() {
        let mut sorter = Sorter { run_length: 100, max_runs: 8, ..Sorter::default() };
        let count = 100 * 30 + 7;
        for number in 0..count {
            // Every path twice, not sorted.
            let path = format!("{:08}", (number * 7919) % (count / 2 + 1));
            let entry = Entry::new(path.as_bytes(), 0, Kind::Fifo);
            sorter.push(entry, (number % 3) as u32).unwrap();
        }
        let (mut seen, mut previous) = (0, None::<Placed>);
        for placed in sorter.sorted().iter().unwrap().map(Result::unwrap) {
            if let Some(previous) = previous {
                let paths = previous.entry.path.cmp(&placed.entry.path);
                assert!(paths.then(previous.number.cmp(&placed.number)).is_lt());
            }
            previous = Some(placed);
            seen += 1;
        }
        assert_eq!(seen, count);
    }
}
