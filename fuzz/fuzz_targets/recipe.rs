//! Reading a recipe never panics, in TOML and in JSON; a name that it accepts is read back unchanged.
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
