//! Files of fields, `Name: value`, in paragraphs that empty lines separate, as dpkg and apk write
//! them (deb822(5)).

use std::collections::BTreeMap;

/// The fields of a paragraph. Of a value with several lines, the first.
pub(crate) type Paragraph<'t> = BTreeMap<&'t str, &'t str>;

/// The paragraphs of `text`.
pub(crate) fn paragraphs(text: &str) -> Vec<Paragraph<'_>> {
    let mut paragraphs = vec![Paragraph::new()];
    for line in text.lines() {
        if line.trim().is_empty() {
            paragraphs.push(Paragraph::new());
        } else if let (Some((name, value)), Some(last)) =
            (line.split_once(':'), paragraphs.last_mut())
            && !line.starts_with([' ', '\t'])
        {
            last.entry(name).or_insert(value.trim());
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs
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
