//! Paths in the image.

use std::collections::BTreeMap;

/// A path in the image, without slashes at either end.
pub(in crate::build) type ImagePath = Box<[u8]>;

/// `path` and the directories above it, outermost first.
pub(super) fn prefixes(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = (1..=path.len()).filter(|end| matches!(path.get(*end), None | Some(b'/')));
    ends.map(|end| &path[..end])
}

/// The entries of `map` whose paths are below `path`.
pub(super) fn range_below<'m, V>(
    map: &'m mut BTreeMap<ImagePath, V>,
    path: &[u8],
) -> impl Iterator<Item = (&'m ImagePath, &'m mut V)> {
    let above: ImagePath = [path, b"/"].concat().into();
    let below = map.range_mut(above.clone()..);
    below.take_while(move |(path, _)| path.starts_with(&above))
}

/// Removes the entries of `map` whose paths are below `path`.
pub(super) fn remove_below<V>(map: &mut BTreeMap<ImagePath, V>, path: &[u8]) {
    let below: Vec<ImagePath> = range_below(map, path).map(|(path, _)| path.clone()).collect();
    below.iter().for_each(|path| drop(map.remove(path)));
}

/// Whether `path` is below `directory`.
pub(in crate::build) fn is_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with(b"/"))
}

/// Whether `path` is `directory` or below it.
pub(in crate::build) fn is_within(path: &[u8], directory: &[u8]) -> bool {
    path == directory || is_below(path, directory)
}
