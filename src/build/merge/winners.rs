//! Which entry counts of several that were placed at the same path.

use std::collections::BTreeSet;

use super::replaced::Replaced;
use crate::archive::entry::{FileContent, Kind};
use crate::build::BuildError;
use crate::build::place::{ImagePath, Placed, Placer, Priority, Sorted};
use crate::build::recipe::files::ConflictRule;

impl Placer<'_> {
    /// Calls `visit` for what counts of everything that was placed at the same path, in order.
    /// Returns the removed paths at which something was placed.
    pub(super) fn each_winner(
        &self,
        sorted: &Sorted,
        visit: &mut dyn FnMut(Placed) -> Result<(), BuildError>,
    ) -> Result<BTreeSet<ImagePath>, BuildError> {
        let mut replaced = Replaced::new(self);
        let mut previous: Option<Placed> = None;
        for placed in sorted.iter()? {
            let placed = placed?;
            if replaced.contains(&placed) {
                continue;
            }
            match &previous {
                Some(first) if first.entry.path == placed.entry.path => {
                    if self.replaces(first, &placed)? {
                        previous = Some(placed);
                    }
                }
                _ => {
                    if let Some(first) = previous.replace(placed) {
                        visit(first)?;
                    }
                }
            }
        }
        previous.map_or(Ok(()), visit)?;
        Ok(replaced.used_removals)
    }

    /// Whether `second` replaces `first`, which has the same path. Two directories are one, of
    /// which the first counts; otherwise the origin with the higher priority wins, or the recipe
    /// decides.
    fn replaces(&self, first: &Placed, second: &Placed) -> Result<bool, BuildError> {
        let origin = |placed: &Placed| self.entries.origin(placed.origin);
        let (one, other) = (origin(first), origin(second));
        let is_directory = |placed: &Placed| matches!(placed.entry.kind, Kind::Directory);
        let same_origin = first.origin == second.origin && one.last_wins;
        let same = match (&first.entry.kind, &second.entry.kind) {
            (Kind::Directory, Kind::Directory) => {
                let last = self.rules.on_conflict == ConflictRule::Last
                    && one.priority == Priority::Content
                    && other.priority == Priority::Content;
                return Ok(same_origin || last || one.priority < Priority::Content);
            }
            (Kind::Symlink(first), Kind::Symlink(second)) => first == second,
            (Kind::File(FileContent::Host(_)), Kind::File(FileContent::Host(_))) => {
                first.entry.source() == second.entry.source()
            }
            _ => false,
        };
        if same_origin {
            return Ok(true);
        }
        let kinds_fit = is_directory(first) == is_directory(second);
        if kinds_fit || one.priority == Priority::Helper || other.priority == Priority::Helper {
            if one.priority != other.priority {
                return Ok(other.priority > one.priority);
            }
            if one.priority == Priority::Path {
                return Ok(true);
            }
            if same {
                return Ok(false);
            }
            match self.rules.on_conflict {
                ConflictRule::First => return Ok(false),
                ConflictRule::Last => return Ok(true),
                ConflictRule::Error => {}
            }
        }
        let side = |placed: &Placed| (placed.entry.kind.noun(), placed.origin);
        Err(self.conflict(&first.entry.path, side(first), side(second)))
    }
}
