//! Forged image archives whose digests are right: see `seatrial_fuzz::forge` for the input.
//!
//! Invariant: as for the target `archive`; the documents and layers are reached that wrong digests
//! hide there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seatrial_fuzz::{forge, reading};

fuzz_target!(|data: &[u8]| {
    let tar = forge::tar(&forge::members(data));
    if let Some((file, verified)) = reading::accepted(&tar) {
        reading::use_everywhere(file.path(), verified);
    }
});
