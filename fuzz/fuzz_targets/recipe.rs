//! Parsing a recipe in TOML or JSON never panics, and parsing an accepted name again gives the same
//! name.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use seatrial::build::Recipe;
use seatrial::image::Name;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for path in ["recipe.toml", "recipe.json"] {
        let Ok(recipe) = Recipe::parse(Path::new(path), text) else { continue };
        let again: Name = recipe.name.as_str().parse().expect("an accepted name is a name");
        assert_eq!(again, recipe.name);
    }
});
