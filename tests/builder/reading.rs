//! Helpers of tests that read forged images.

use serde_json::Value;

use crate::lab::Lab;

/// The output of `inspect --json`.
pub fn inspect(lab: &Lab, arguments: &[&str]) -> Value {
    let summary = lab.seatrial(["inspect", "--json"].iter().chain(arguments)).ok();
    serde_json::from_str(&summary).unwrap()
}

/// Asserts that `inspect` and `build` reject the image `name`.
pub fn assert_rejected(lab: &Lab, name: &str, expected: &str) {
    let message = lab.seatrial(["inspect", name]).rejected(lab, "x");
    assert!(message.contains(expected), "{expected}: {message}");
    let recipe = format!("name='x'\nfrom_image='{name}'\narchitecture='amd64'\ninherit='all'\n");
    let message = lab.rejected(&recipe);
    assert!(message.contains(expected), "{expected}: {message}");
}
