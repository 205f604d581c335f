//! Any bytes as an image archive: plain or compressed, docker-archive or OCI layout.
//!
//! Invariant: opening, verifying, linting and building on it never panic, and take bounded time and
//! memory. What is built on an accepted image is accepted again, and has the same layers.
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
