//! The format of version 1: lists of registries, which say nothing of mirrors.

use std::collections::BTreeMap;

use serde::Deserialize;

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

/// The lists that name a registry.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Membership {
    pub(super) insecure: bool,
    pub(super) block: bool,
}

impl Lists {
    /// All registries that are named, without slashes at the end.
    pub(super) fn registries(&self) -> BTreeMap<&str, Membership> {
        let mut registries = BTreeMap::<&str, Membership>::new();
        for location in &self.insecure.registries {
            registries.entry(location.trim_end_matches('/')).or_default().insecure = true;
        }
        for location in &self.block.registries {
            registries.entry(location.trim_end_matches('/')).or_default().block = true;
        }
        registries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of containers-registries.conf(5), "VERSION 1".
    #[test]
    fn a_registry_may_be_in_several_lists() {
        let file = "[search]\nregistries = ['registry1.example']\n\
                    [insecure]\nregistries = ['registry2.example:5000/', 'registry3.example']\n\
                    [block]\nregistries = ['registry3.example']\n";
        let lists: Lists = toml::from_str(file).unwrap();
        let expected = [
            ("registry2.example:5000", Membership { insecure: true, block: false }),
            ("registry3.example", Membership { insecure: true, block: true }),
        ];
        assert_eq!(lists.registries(), expected.into());
    }
}
