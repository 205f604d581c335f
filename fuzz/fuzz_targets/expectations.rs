//! Any text as an expectation file, in TOML and in JSON.
//!
//! Invariant: parsing never panics, and takes bounded time and memory whatever its regular
//! expressions are; expectations in TOML mean the same in JSON.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use seatrial::check::Expectations;
use seatrial_fuzz::document;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let path = Path::new("expectations");
    let expectations = Expectations::parse(path, text);
    for run in expectations.iter().flat_map(|expectations| &expectations.run) {
        let _ = run.stdout.as_ref().map(|rules| (rules.is_match(text), rules.to_string()));
    }
    if let Some(json) = document::toml_as_json(text) {
        let same = Expectations::parse(path, &json);
        assert_eq!(expectations.is_ok(), same.is_ok(), "{expectations:?}, {same:?}");
        if let (Ok(expectations), Ok(same)) = (expectations, same) {
            assert_eq!(format!("{expectations:?}"), format!("{same:?}"));
        }
    }
});
