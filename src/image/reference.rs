//! Names and tags of images, by the grammar of Docker's `distribution/reference` (docs.docker.com,
//! "docker image tag"; distribution `reference.go`).

use std::fmt;
use std::str::FromStr;

use super::name_rules::{DEFAULT_FOLDER, DEFAULT_REGISTRY, broken_name_rule, split_registry};
use crate::text;

/// A repository name: `[registry[:port]/]path/of/components`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// A tag: a letter, digit or underscore, then up to 127 letters, digits, underscores, dots and
/// dashes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

/// A name and a tag, written `name:tag`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The repository name.
    pub name: Name,
    /// The tag.
    pub tag: Tag,
}

/// A name or tag that Docker rejects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid image {part} {}: {rule}", text::quote(.text))]
pub struct ReferenceError {
    /// `name` or `tag`.
    pub part: &'static str,
    /// The given text.
    pub text: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

/// The maximum length of a tag.
const TAG_MAX: usize = 128;

impl Name {
    /// The name, including the registry.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component of the path.
    pub fn base_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl FromStr for Name {
    type Err = ReferenceError;

    /// Parses a name, and converts it to lower case.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let lower = text.to_lowercase();
        match broken_name_rule(&lower) {
            None => Ok(Self(lower)),
            Some(rule) => Err(ReferenceError { part: "name", text: text.to_owned(), rule }),
        }
    }
}

/// `reference` as Docker shows it: without the parts that mean Docker Hub.
pub fn familiar(reference: &str) -> &str {
    let hub = ["docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/"];
    hub.iter().find_map(|prefix| reference.strip_prefix(prefix)).unwrap_or(reference)
}

impl Reference {
    /// The reference as containerd writes it: with the parts that mean Docker Hub.
    pub fn normalized(&self) -> String {
        match split_registry(self.name.as_str()) {
            (Some(_), _) => self.to_string(),
            (None, path) if path.contains('/') => format!("{DEFAULT_REGISTRY}{self}"),
            (None, _) => format!("{DEFAULT_REGISTRY}{DEFAULT_FOLDER}{self}"),
        }
    }
}

impl Tag {
    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let rule = if text.is_empty() {
            "it is empty"
        } else if text.len() > TAG_MAX {
            "it is longer than 128 characters"
        } else if !text.starts_with(word) {
            "it must begin with a letter, digit or '_'"
        } else if !text.chars().all(|c| word(c) || c == '.' || c == '-') {
            "only letters, digits, '_', '.' and '-' are allowed"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(ReferenceError { part: "tag", text: text.to_owned(), rule })
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// Parses `name[:tag]`; without a tag, it is `latest`, as in Docker.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (text, "latest"),
        };
        Ok(Self { name: name.parse()?, tag: tag.parse()? })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str) -> &'static str {
        name.parse::<Name>().map_or_else(|e| e.rule, |_| "fine")
    }

    // distribution/reference, normalize.go: the length counts with "docker.io/library/".
    #[test]
    fn a_name_has_at_most_255_characters_with_its_registry() {
        for (start, length, is_valid) in [
            ("", 237, true),
            ("", 238, false),
            ("a/", 245, true),
            ("a/", 246, false),
            ("x.io/", 255, true),
            ("x.io/", 256, false),
        ] {
            let name = format!("{start}{}", "a".repeat(length - start.len()));
            assert_eq!(name.parse::<Name>().is_ok(), is_valid, "{start} {length}");
        }
    }

    #[test]
    fn names_that_docker_accepts_are_valid() {
        let long = format!("a/{}", "b".repeat(243));
        for name in [
            "app",
            "my/app",
            "registry.example:5000/my/image",
            "localhost/app",
            "localhost:5000/app",
            "[::1]:5000/app",
            "f/a.b_c__d---e",
            "0/1",
            &long,
        ] {
            assert_eq!(rule(name), "fine", "{name}");
        }
        assert_eq!(
            "Registry.Example/My/App".parse::<Name>().unwrap().as_str(),
            "registry.example/my/app"
        );
    }

    #[test]
    fn errors_about_names_name_the_rule() {
        let too_long = "a".repeat(256);
        let id = "0123456789abcdef".repeat(4);
        for (name, part) in [
            ("", "empty"),
            ("a//b", "empty path component"),
            ("/a", "empty path component"),
            ("a/", "empty path component"),
            ("-a", "begin and end"),
            ("a_", "begin and end"),
            ("a..b", "a separator"),
            ("a___b", "a separator"),
            ("a._b", "a separator"),
            ("a b", "only letters"),
            ("ä", "only letters"),
            ("app:1.0", "cannot contain a tag"),
            ("app@sha256:00", "cannot contain a digest"),
            ("reg.example:x/app", "port"),
            ("-reg.example/app", "host name"),
            (&too_long, "longer"),
            (&id, "image ID"),
        ] {
            assert!(rule(name).contains(part), "{name}: {}", rule(name));
        }
    }

    #[test]
    fn tags_follow_the_grammar_of_docker() {
        for tag in ["1.0", "_x", "latest", "A-b.c_d", &"x".repeat(128)] {
            assert!(tag.parse::<Tag>().is_ok(), "{tag}");
        }
        for tag in ["", ".x", "-x", "a/b", "a:b", "a b", &"x".repeat(129)] {
            assert!(tag.parse::<Tag>().is_err(), "{tag}");
        }
    }

    #[test]
    fn a_port_is_not_a_tag() {
        let reference: Reference = "registry.example:5000/my/image".parse().unwrap();
        assert_eq!(reference.to_string(), "registry.example:5000/my/image:latest");
        assert_eq!(reference.name.base_name(), "image");
    }
}
