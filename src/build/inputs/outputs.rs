//! Outputs of builds among the inputs.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Notices;
use crate::archive::begins_like_image;
use crate::build::recipe::Recipe;

/// The bytes in which bills of materials have their signs.
const START: u64 = 64 << 10;

/// Whether the file at `path` may be an archive or a bill of materials that an earlier build has
/// written: those are left out of the contents, but no other file is replaced.
pub(crate) fn is_earlier_output(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(START).read_to_end(&mut start));
    let has = |word: &[u8]| start.windows(word.len()).any(|bytes| bytes == word);
    let is_image = || begins_like_image(path).unwrap_or(false);
    read.is_err()
        || start.is_empty()
        || has(b"\"spdxVersion\"")
        || has(b"\"bomFormat\"")
        || is_image()
}

/// Leaves the files that builds of `recipe` write by default out of the contents, as far as earlier
/// builds have written them. So every command makes the image that `build` makes.
pub(in crate::build) fn leave_out_default(recipe: &Recipe, notices: &mut Notices) {
    for path in recipe.default_outputs() {
        let file = path.metadata().ok().filter(Metadata::is_file);
        if let Some(file) = file.filter(|_| is_earlier_output(&path)) {
            notices.add_output((file.dev(), file.ino()), true);
        }
    }
}
