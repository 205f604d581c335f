//! Any bytes as an image archive: plain or compressed, docker-archive or OCI layout.
//!
//! Invariant: opening, verifying and linting never panic, and take bounded time and memory. An
//! accepted image can be written as another archive, which is accepted with the same config and
//! layers, and can be built on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seatrial_fuzz::{rawtar, reading};

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    rawtar::repair(&mut bytes);
    // A repaired header hides compressed archives and invalid checksums; these are read as well.
    if bytes != data
        && let Some((file, verified)) = reading::accepted(data)
    {
        reading::use_everywhere(file.path(), verified);
    }
    if let Some((file, verified)) = reading::accepted(&bytes) {
        reading::use_everywhere(file.path(), verified);
    }
});
