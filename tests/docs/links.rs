//! Links between the pages lead somewhere.

use std::path::{Component, Path, PathBuf};

use crate::{pages, read};

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> Vec<String> {
    let text = read(page);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        text.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    headings.map(anchor).collect()
}

/// `path` without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn every_link_leads_to_a_page_and_a_heading() {
    for page in pages() {
        let text = read(&page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if file.contains("://") {
                continue;
            }
            let folder = Path::new(&page).parent().unwrap();
            let target =
                if file.is_empty() { page.clone().into() } else { plain(&folder.join(file)) };
            let target = target.to_str().unwrap();
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(target).exists(), "{page}: {link}");
            let found = anchor.is_empty() || anchors(target).iter().any(|known| known == anchor);
            assert!(found, "{page}: {link}");
        }
    }
}

#[test]
fn every_page_can_be_reached_from_the_readme() {
    let text = read("README.md");
    for page in pages().iter().filter(|page| page.starts_with("docs/")) {
        assert!(text.contains(&format!("({page}")), "README.md does not link {page}");
    }
}
