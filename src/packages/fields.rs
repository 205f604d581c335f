//! Files of fields, `Name: value`, in paragraphs that empty lines separate, as dpkg and apk write
//! them (deb822(5)).

use std::collections::BTreeMap;

/// The largest number of fields of a paragraph; those after them are ignored.
const FIELDS_MAX: usize = 1000;

/// A paragraph.
pub(super) struct Paragraph<'t> {
    /// Its fields. Of a value with several lines, the first.
    fields: BTreeMap<&'t str, &'t str>,
    text: &'t str,
}

impl<'t> Paragraph<'t> {
    /// The value of the field `name`, if there is one.
    pub(super) fn get(&self, name: &str) -> Option<&'t str> {
        self.fields.get(name).copied()
    }

    /// The value of the field `name`, if it is not empty.
    pub(super) fn value(&self, name: &str) -> Option<&'t str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// All lines with a name and a value, also those of names that occur several times.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&'t str, &'t str)> {
        self.text.lines().filter_map(|line| line.split_once(':'))
    }
}

/// The paragraphs of `text`, each of which is parsed when it is asked for.
pub(super) fn paragraphs(text: &str) -> impl Iterator<Item = Paragraph<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest;
        let (mut fields, mut length) = (BTreeMap::new(), 0);
        for line in start.split_inclusive('\n') {
            length += line.len();
            if line.trim().is_empty() {
                if !fields.is_empty() {
                    break;
                }
            } else if let Some((name, value)) = line.split_once(':')
                && !line.starts_with([' ', '\t'])
                && fields.len() < FIELDS_MAX
            {
                fields.entry(name).or_insert(value.trim());
            }
        }
        let text;
        (text, rest) = start.split_at(length);
        (!fields.is_empty()).then_some(Paragraph { fields, text })
    })
}
