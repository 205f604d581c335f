//! The Rust in the pages compiles: each example is a file here, which the page repeats.

mod readme;
mod testcontainers;

use crate::read;

/// Removes white space, commas before a closing bracket, and the default of the other fields.
fn plain(code: &str) -> String {
    let code = code.replace("..Default::default()", "..");
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    [",)", ",]", ",}"].iter().fold(code, |code, end| code.replace(end, &end[1..]))
}

#[test]
fn the_example_of_the_readme_is_one_that_compiles() {
    let page = read("README.md");
    let (_, block) = page.split_once("```rust\n").unwrap();
    let block = block.split_once("```").unwrap().0;
    let example = read("tests/docs/rust/readme.rs");
    let (_, example) = example.split_once("\n\n").unwrap();
    let example: String =
        example.lines().filter(|line| !line.starts_with("#[ignore")).collect::<Vec<_>>().join("\n");
    // Comments stand where the page is wide enough for them.
    assert_eq!(plain(&example), plain(block));
}

#[test]
fn every_call_in_the_table_for_those_who_know_testcontainers_compiles() {
    let page = read("docs/testing.md");
    let (_, table) = page.split_once("| testcontainers | seatrial |\n|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with("| "));
    let code = plain(&read("tests/docs/rust/testcontainers.rs"));
    let mut count = 0;
    for row in rows {
        let ours = row.split(" | ").nth(1).unwrap();
        for span in ours.split('`').skip(1).step_by(2).map(plain) {
            // `...` stands for any arguments.
            let pattern = regex::escape(&span).replace(r"\.\.\.", ".*?");
            let pattern = regex::Regex::new(&pattern).unwrap();
            assert!(pattern.is_match(&code), "{row}: {span} is not in testcontainers.rs");
            count += 1;
        }
    }
    assert!(count > 35, "{count}");
}
