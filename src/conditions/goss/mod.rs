//! Matchers of goss files (goss, `docs/gossfile.md`), and the values that they are applied to.

mod document;
mod found;
mod matcher;
mod pairs;
mod patterns;
mod words;

pub(crate) use found::Found;
pub(crate) use matcher::Matcher;
