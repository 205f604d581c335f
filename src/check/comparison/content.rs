//! The content of files that were found.

use crate::archive::files::{CONTENT_MAX, FileInfo};
use crate::archive::tar::MemberKind;
use crate::text;

/// Returns the content of the file that was found at `path`; `None` if it is not a regular file.
///
/// # Errors
/// If it is too large: a sentence that names it.
pub(in crate::check) fn content<'f>(
    path: &str,
    found: &'f FileInfo,
) -> Result<Option<&'f [u8]>, String> {
    if found.kind == MemberKind::File && found.size > CONTENT_MAX {
        let (path, size, max) = (text::shorten(path), found.size, CONTENT_MAX >> 20);
        return Err(format!(
            "failed to check the content of {path}: it has {size} bytes, and files of up to \
             {max} MiB are read"
        ));
    }
    Ok(found.content.as_deref())
}
