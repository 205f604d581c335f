//! A finding about an image.

use serde::Serialize;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// No problem for many images.
    Note,
    /// A problem on some engines or for some uses.
    Warning,
}

/// A problem of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The severity.
    pub level: Level,
    /// The name of the rule.
    pub rule: &'static str,
    /// The problem in this image.
    pub problem: String,
    /// The consequences.
    pub impact: &'static str,
    /// How to fix it.
    pub fix: &'static str,
}

impl Finding {
    pub(super) fn warning(
        rule: &'static str,
        problem: String,
        impact: &'static str,
        fix: &'static str,
    ) -> Self {
        Self { level: Level::Warning, rule, problem, impact, fix }
    }

    pub(super) fn note(
        rule: &'static str,
        problem: String,
        impact: &'static str,
        fix: &'static str,
    ) -> Self {
        Self { level: Level::Note, rule, problem, impact, fix }
    }
}
