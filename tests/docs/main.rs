//! Compares the documentation with the program: everything that the program accepts, reads and
//! prints must be documented, and the documented examples must be valid.

#![allow(clippy::unwrap_used)]

mod cli; // commands, flags, printed JSON
mod examples; // recipes, expectations and scenarios in the pages
#[cfg(feature = "vm")]
mod json_of_vms; // printed JSON of VMs and replays
mod keys; // keys of files, environment variables, lint rules
mod links; // links between the pages
#[cfg(feature = "vm")]
mod rust; // examples in Rust
mod scripts; // examples of shell scripts

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The text of a file of the repository.
fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The pages that users read.
fn pages() -> Vec<String> {
    let docs = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap();
    let names = docs.map(|page| page.unwrap().file_name().into_string().unwrap());
    let docs = names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}"));
    ["README.md", "vm/README.md"].map(str::to_owned).into_iter().chain(docs).collect()
}

/// The program's output on standard output and standard error.
fn seatrial(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_seatrial")).args(arguments).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// The words in the code spans of `page`, without its code blocks.
fn documented(page: &str) -> BTreeSet<String> {
    let prose: String = page.split("```").step_by(2).collect();
    let spans: Vec<&str> = prose.split('`').skip(1).step_by(2).collect();
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let words = spans.iter().flat_map(|span| span.split(|c| !part_of_word(c)));
    words.map(str::to_owned).collect()
}

/// Fails if `page` does not have each of `names` in a code span.
fn assert_documented(names: impl IntoIterator<Item = impl AsRef<str>>, page: &str, in_page: &str) {
    let documented = documented(page);
    let names: Vec<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
    assert!(!names.is_empty(), "nothing to look for in {in_page}");
    let missing: Vec<&String> = names.iter().filter(|name| !documented.contains(*name)).collect();
    assert!(missing.is_empty(), "{in_page} does not document {missing:?}");
}
