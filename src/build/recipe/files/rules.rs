//! Rules for all contents.

use serde::Deserialize;

/// How extended attributes of source files are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XattrRule {
    /// They are left out.
    #[default]
    Drop,
    /// Capabilities, ACLs and those of users are kept.
    Keep,
}

/// The rule for two contents that have a file at the same path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConflictRule {
    /// The build fails.
    #[default]
    Error,
    /// The first content's file counts.
    First,
    /// The last content's file counts.
    Last,
}
