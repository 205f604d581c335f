//! The TOML examples in the pages can be read.

use std::path::Path;

use seatrial::build::{Overrides, Recipe};

use crate::read;

/// The TOML blocks of a page.
fn blocks(page: &str) -> Vec<String> {
    let text = read(page);
    let blocks = text.split("```toml\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_recipe_in_the_pages_can_be_read() {
    let mut count = 0;
    for page in ["README.md", "docs/recipe.md", "docs/layering.md"] {
        for text in blocks(page).iter().filter(|text| text.starts_with("name = ")) {
            let recipe = Recipe::parse_all(Path::new("app.toml"), text, &Overrides::default());
            recipe.unwrap_or_else(|error| panic!("{page}: {error}\n{text}"));
            count += 1;
        }
    }
    assert!(count >= 5, "{count}");
}

#[test]
#[cfg(feature = "vm")]
fn every_expectations_file_in_the_pages_can_be_read() {
    for page in ["README.md", "docs/expectations.md"] {
        let blocks = blocks(page);
        let starts = ["[image]", "[[service]]", "[container."];
        let is_whole = |text: &&String| starts.iter().any(|start| text.starts_with(start));
        let mut expectations = blocks.iter().filter(is_whole).peekable();
        assert!(expectations.peek().is_some(), "{page}");
        for text in expectations {
            let read = seatrial::check::Expectations::parse(Path::new("app.expect.toml"), text);
            read.unwrap_or_else(|error| panic!("{page}: {error}\n{text}"));
        }
    }
}

#[test]
#[cfg(feature = "vm")]
fn every_scenario_in_the_pages_can_be_read() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("scenario.toml");
    for text in blocks("docs/scenarios.md") {
        std::fs::write(&path, &text).unwrap();
        let read = seatrial::replay::Scenario::named(path.to_str().unwrap());
        read.unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}
