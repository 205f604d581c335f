//! Names that occur twice in an expectations file.

use super::Expectations;
use crate::text;

/// Names two commands or services that have the same name, if there are any: neither reports nor
/// `--filter` could distinguish them.
pub(super) fn find(expectations: &Expectations) -> Option<String> {
    let runs: Vec<&str> = expectations.run.iter().map(|run| run.name.as_str()).collect();
    let services: Vec<&str> = expectations.service.iter().map(|it| it.name.as_str()).collect();
    [("run", runs), ("service", services)].into_iter().find_map(|(kind, names)| {
        let (second, name) =
            names.iter().enumerate().find(|(index, name)| names[..*index].contains(name))?;
        let first = names.iter().position(|other| other == name)?;
        Some(format!(
            "{kind} {} and {kind} {} have the same name, {}; give each its own",
            first + 1,
            second + 1,
            text::quote(name)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_services_need_different_names() {
        let error = |text: &str| find(&toml::from_str(text).unwrap());
        let entries = |kind: &str, keys: &str, names: &[&str]| {
            let entry = |name: &&str| format!("[[{kind}]]\nname='{name}'\n{keys}\n");
            names.iter().map(entry).collect::<String>()
        };
        let text = entries("run", "", &["a", "b", "a"]);
        let problem = "run 1 and run 3 have the same name, \"a\"; give each its own";
        assert_eq!(error(&text).as_deref(), Some(problem));
        let text = entries("service", "ready={}", &["b", "a", "a"]);
        let problem = "service 2 and service 3 have the same name, \"a\"; give each its own";
        assert_eq!(error(&text).as_deref(), Some(problem));
        let text = entries("run", "", &["a", "b"]) + &entries("service", "ready={}", &["a"]);
        assert_eq!(error(&text), None);
    }
}
