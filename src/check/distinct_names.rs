//! Distinct names of test cases: a number is added if several files, or one file of another tool,
//! use the same name.

use std::collections::BTreeMap;

use super::expectations::{Expectations, ExpectationsFile};

impl ExpectationsFile {
    /// Returns `files`, in which each name that a test case before has already is followed by a
    /// number: `starts (2)`.
    pub(super) fn with_distinct_names(files: &[Self]) -> Vec<Self> {
        let mut files = files.to_vec();
        let mut taken = BTreeMap::new();
        for Self { expectations, .. } in &mut files {
            let Expectations { file, license, run, service, .. } = expectations;
            for file in file {
                let name = file.name.clone().unwrap_or_else(|| file.path.clone());
                file.name = distinct("file", &name, &mut taken).or(file.name.take());
            }
            let fixed = license.iter_mut().map(|it| ("", &mut it.name));
            let runs = run.iter_mut().map(|it| ("run", &mut it.name));
            let services = service.iter_mut().map(|it| ("service", &mut it.name));
            fixed.chain(runs).chain(services).for_each(|(kind, name)| {
                make_distinct(kind, name, &mut taken);
            });
            for service in service {
                // As `ServiceExpectations::test_name` names them.
                let kind = match service.is_of_gossfile() {
                    true => String::new(),
                    false => format!("service {}:", service.name),
                };
                for test in &mut service.tests {
                    make_distinct(&kind, &mut test.name, &mut taken);
                }
            }
        }
        files
    }
}

/// Adds a number to `name` if a test case of this kind and name is taken already.
fn make_distinct(kind: &str, name: &mut String, taken: &mut BTreeMap<String, usize>) {
    if let Some(distinct) = distinct(kind, name, taken) {
        *name = distinct;
    }
}

/// Adds the test case `name` of a kind to those that are `taken`, each with the number that it gets
/// when it occurs again, and returns its name with a number if it was taken before.
fn distinct(kind: &str, name: &str, taken: &mut BTreeMap<String, usize>) -> Option<String> {
    let case = |name: &str| format!("{kind} {name}").trim_start().to_owned();
    let key = case(name);
    let Some(&next) = taken.get(&key) else {
        taken.insert(key, 2);
        return None;
    };
    let mut numbered = (next..).map(|number| (number, format!("{name} ({number})")));
    let (number, free) = numbered.find(|(_, name)| !taken.contains_key(&case(name)))?;
    taken.insert(case(&free), 2);
    taken.insert(key, number + 1);
    Some(free)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_name_that_occurs_again_gets_a_number() {
        let file = |text: &str| ExpectationsFile {
            expectations: Expectations::parse(Path::new("e.toml"), text).unwrap(),
            folder: Default::default(),
        };
        let text = "[[file]]\npath='/a'\n[[file]]\npath='/a'\n[[run]]\nname='x'\n";
        let (first, second) = (format!("{text}[[run]]\nname='x (2)'\n"), text.to_owned());
        let files = ExpectationsFile::with_distinct_names(&[file(&first), file(&second)]);
        let names = |file: &ExpectationsFile| -> Vec<String> {
            let Expectations { file, run, .. } = &file.expectations;
            let files = file.iter().map(|it| it.name.clone().unwrap_or(it.path.clone()));
            files.chain(run.iter().map(|run| run.name.clone())).collect()
        };
        assert_eq!(names(&files[0]), ["/a", "/a (2)", "x", "x (2)"]);
        assert_eq!(names(&files[1]), ["/a (3)", "/a (4)", "x (3)"]);
    }

    #[test]
    fn each_of_very_many_equal_names_gets_the_next_number() {
        // Counting from 2 for each of them took ten minutes.
        let text = "[[file]]\npath='/a'\n".repeat(50_000);
        let file = ExpectationsFile {
            expectations: Expectations::parse(Path::new("e.toml"), &text).unwrap(),
            folder: Default::default(),
        };
        let files = ExpectationsFile::with_distinct_names(&[file]);
        let last = files[0].expectations.file.last().unwrap();
        assert_eq!(last.name.as_deref(), Some("/a (50000)"));
    }
}
