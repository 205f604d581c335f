//! Paths in the image.

/// A path in the image, without slashes at either end.
pub(super) type ImagePath = Box<[u8]>;

/// Whether `path` is below `directory`.
pub(super) fn is_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with(b"/"))
}

/// Whether `path` is `directory` or below it.
pub(super) fn is_within(path: &[u8], directory: &[u8]) -> bool {
    path == directory || is_below(path, directory)
}
