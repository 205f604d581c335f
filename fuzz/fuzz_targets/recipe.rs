//! Any text as a recipe, in TOML and in JSON.
//!
//! Invariant: parsing never panics; an accepted name, tag and platform are accepted again; a recipe
//! in TOML means the same in JSON.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use seatrial::build::{Overrides, Recipe};
use seatrial::image::{Name, Platform, Reference};
use seatrial_fuzz::document;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let path = Path::new("folder/recipe");
    let recipes = Recipe::parse_all(path, text, &Overrides::default());
    let one = Recipe::parse(path, text);
    assert!(one.is_err() || recipes.is_ok(), "{recipes:?}");
    for recipe in recipes.iter().flatten() {
        let again: Name = recipe.name.as_str().parse().expect("an accepted name is a name");
        assert_eq!(again, recipe.name);
        for tag in recipe.tags.clone() {
            let reference = Reference { name: again.clone(), tag };
            assert_eq!(reference.to_string().parse(), Ok(reference));
        }
        if let Some(platform) = &recipe.platform {
            assert_eq!(Platform::from_specifier(&platform.to_string()).as_ref(), Ok(platform));
        }
    }
    if let Some(json) = document::toml_as_json(text) {
        let same = Recipe::parse_all(path, &json, &Overrides::default());
        assert_eq!(recipes.is_ok(), same.is_ok(), "{:?}, {:?}", recipes.err(), same.err());
        if let (Ok(recipes), Ok(same)) = (recipes, same) {
            assert_eq!(format!("{recipes:?}"), format!("{same:?}"));
        }
    }
});
