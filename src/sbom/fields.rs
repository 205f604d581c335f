//! Files of fields, `Name: value`, in paragraphs that empty lines separate, as dpkg and apk write
//! them (deb822(5)).

use std::collections::BTreeMap;

/// The fields of a paragraph. Of a value with several lines, the first.
pub(crate) type Paragraph<'t> = BTreeMap<&'t str, &'t str>;

/// The largest number of fields of a paragraph; those after them are ignored.
const FIELDS_MAX: usize = 1000;

/// The paragraphs of `text`, each of which is parsed when it is asked for.
pub(crate) fn paragraphs(text: &str) -> impl Iterator<Item = Paragraph<'_>> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let mut paragraph = Paragraph::new();
        for line in lines.by_ref() {
            if line.trim().is_empty() {
                if !paragraph.is_empty() {
                    break;
                }
            } else if let Some((name, value)) = line.split_once(':')
                && !line.starts_with([' ', '\t'])
                && paragraph.len() < FIELDS_MAX
            {
                paragraph.entry(name).or_insert(value.trim());
            }
        }
        (!paragraph.is_empty()).then_some(paragraph)
    })
}

/// The value of `name` in `paragraph`, if it is not empty.
pub(crate) fn value(paragraph: &Paragraph<'_>, name: &str) -> Option<String> {
    paragraph.get(name).filter(|value| !value.is_empty()).map(|value| (*value).to_owned())
}

/// `ID` and `VERSION_ID` in the text of `os-release` (os-release(5)).
pub(super) fn distribution(os_release: &str) -> Option<(String, String)> {
    let value = |name: &str| {
        let mut lines = os_release.lines().filter_map(|line| line.split_once('='));
        let (_, value) = lines.find(|(key, _)| *key == name)?;
        Some(value.trim().trim_matches(['"', '\'']).to_owned())
    };
    Some((value("ID").filter(|id| !id.is_empty())?, value("VERSION_ID").unwrap_or_default()))
}
