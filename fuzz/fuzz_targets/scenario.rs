//! Any text as a file that describes a scenario.
//!
//! Invariant: parsing never panics; a scenario in TOML means the same in JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seatrial::replay::Scenario;
use seatrial_fuzz::{document, reading};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let scenario = parsed(text);
    if let Some(json) = document::toml_as_json(text) {
        assert_eq!(scenario, parsed(&json));
    }
});

/// The scenario without its name, which is that of the temporary file.
fn parsed(text: &str) -> Option<String> {
    let file = reading::file_with(text.as_bytes())?;
    let mut scenario = Scenario::named(file.path().to_str()?).ok()?;
    scenario.name.clear();
    Some(format!("{scenario:?}"))
}
