//! Opening and verifying an untrusted image never panics, hangs or takes unbounded memory.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use seatrial::archive::tree::Tree;
use seatrial::archive::{ImageSelector, open, verify};

fuzz_target!(|data: &[u8]| {
    let Ok(mut file) = tempfile::NamedTempFile::new() else { return };
    if file.write_all(data).is_err() {
        return;
    }
    let Ok(image) = open(file.path(), &ImageSelector::default()) else { return };
    let Ok(layers) = verify::layers(&image, 1) else { return };
    assert_eq!(layers.len(), image.config.rootfs.diff_ids.len());
    Tree::from_layers(layers.into_iter().map(|layer| layer.tree));
});
