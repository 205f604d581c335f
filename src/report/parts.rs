//! The parts of a value: prose, and texts of several lines.

use crate::check::verdict::Description;
use crate::text::{self, value};

/// A part of a value.
pub(super) enum Part<'v> {
    /// Words and quoted texts of one line, shown as they are.
    Prose(String),
    /// A text of several lines.
    Block(Block<'v>),
}

/// A text of several lines.
pub(super) struct Block<'v> {
    /// The lines, without line breaks.
    pub(super) lines: Vec<&'v str>,
    /// Whether the last line ends with a line break.
    pub(super) ends_with_break: bool,
}

/// Splits a value into prose and texts of several lines.
pub(super) fn parts(value: &Description) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for part in value.parts() {
        let prose = match part {
            text::Part::Words(words) => words.clone(),
            text::Part::Text(text) => match Block::of(text) {
                Some(block) => {
                    parts.push(Part::Block(block));
                    continue;
                }
                None => value::quote(text),
            },
        };
        match parts.last_mut() {
            Some(Part::Prose(before)) => before.push_str(&prose),
            _ => parts.push(Part::Prose(prose)),
        }
    }
    parts
}

/// Whether a value has no text of several lines.
pub(super) fn is_one_line(parts: &[Part<'_>]) -> bool {
    parts.iter().all(|part| matches!(part, Part::Prose(_)))
}

impl<'v> Block<'v> {
    /// The lines of `text`, if at least two are not blank.
    pub(super) fn of(text: &'v str) -> Option<Self> {
        let lines: Vec<&str> = text.split_terminator('\n').collect();
        let several = lines.iter().filter(|line| !line.trim_matches(' ').is_empty()).nth(1);
        several.is_some().then(|| Self { lines, ends_with_break: text.ends_with('\n') })
    }
}
