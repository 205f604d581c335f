//! The format of version 1: lists of registries, which say nothing of mirrors.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Place, Rule};

/// The tables below `registries`. That for names without a registry, `search`, is ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Lists {
    insecure: List,
    block: List,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct List {
    registries: Vec<String>,
}

impl Lists {
    /// The same as rules of version 2. `path` is the file that has them.
    pub(super) fn into_rules(self, path: &Path) -> Vec<Rule> {
        let mut rules = BTreeMap::new();
        let mut rule = |location: &str, change: fn(&mut Rule)| {
            let place = Place::new(location, false);
            let prefix = place.location.clone();
            let new = || Rule {
                prefix: prefix.clone(),
                place,
                blocked: false,
                mirrors: Vec::new(),
                path: path.to_owned(),
            };
            change(rules.entry(prefix.clone()).or_insert_with(new));
        };
        for location in self.insecure.registries {
            rule(&location, |rule| rule.place.insecure = true);
        }
        for location in self.block.registries {
            rule(&location, |rule| rule.blocked = true);
        }
        rules.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of containers-registries.conf(5), "VERSION 1".
    #[test]
    fn lists_become_rules() {
        let file = "[search]\nregistries = ['registry1.example']\n\
                    [insecure]\nregistries = ['registry2.example:5000/', 'registry3.example']\n\
                    [block]\nregistries = ['registry3.example']\n";
        let lists: Lists = toml::from_str(file).unwrap();
        let rules = lists.into_rules(Path::new("registries.conf"));
        let rules: Vec<_> = rules
            .iter()
            .map(|rule| (rule.prefix.as_str(), rule.place.insecure, rule.blocked))
            .collect();
        let expected = [("registry2.example:5000", true, false), ("registry3.example", true, true)];
        assert_eq!(rules, expected);
    }
}
