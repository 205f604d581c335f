//! Any text as a reference, name, tag, platform, digest, time and environment.
//!
//! Invariant: parsing never panics; what is accepted is accepted again, with the same value, after
//! being written.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use seatrial::image::{Digest, Env, Name, Platform, Reference, Tag, Timestamp};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(reference) = same::<Reference>(text) {
        let normalized = reference.normalized();
        let again: Reference = normalized.parse().expect("a normalized reference is a reference");
        assert_eq!(again.normalized(), normalized);
        assert!(reference.name.as_str().ends_with(reference.name.base_name()));
        assert!(!reference.name.base_name().is_empty());
    }
    if let Ok(name) = text.parse::<Name>() {
        assert_eq!(name.as_str().parse(), Ok(name));
    }
    if let Ok(tag) = text.parse::<Tag>() {
        assert_eq!(tag.as_str(), text);
    }
    same::<Platform>(text);
    if let Ok(platform) = Platform::from_specifier(text) {
        assert_eq!(text.parse(), Ok(platform));
    }
    same::<Digest>(text);
    same::<Timestamp>(text);
    if let Ok(env) = Env::parse(text.lines()) {
        assert_eq!(Env::parse(env.to_entries()).as_ref(), Ok(&env));
        assert_eq!(env.clone().merged(&env), env);
        assert!(env.iter().all(|(name, value)| env.get(name) == Some(value)));
    }
});

/// Parses `text`, and the text of the result again.
fn same<T: FromStr + Display + Debug + PartialEq>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let written = value.to_string();
    match written.parse::<T>() {
        Ok(again) => assert_eq!(again, value, "{text:?} is written as {written:?}"),
        Err(_) => panic!("{text:?} is written as {written:?}, which is refused"),
    }
    Some(value)
}
