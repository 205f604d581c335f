//! The rules for names of repositories.

/// The maximum length of a repository name, including the registry, which is Docker's own if the
/// name has none (`reference.ParseNormalizedNamed`).
const NAME_MAX: usize = 255;
/// Docker's own registry.
pub(super) const DEFAULT_REGISTRY: &str = "docker.io/";
/// The folder of names with one component in Docker's own registry.
pub(super) const DEFAULT_FOLDER: &str = "library/";

/// The rule that `name` breaks, if it breaks one.
pub(super) fn broken_name_rule(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    let (registry, path) = split_registry(name);
    let prefix = match (registry, path.contains('/')) {
        (Some(_), _) => 0,
        (None, true) => DEFAULT_REGISTRY.len(),
        (None, false) => DEFAULT_REGISTRY.len() + DEFAULT_FOLDER.len(),
    };
    if prefix + name.len() > NAME_MAX {
        return Some("with its registry, it is longer than 255 characters");
    }
    if name.contains('@') {
        return Some("a name cannot contain a digest; remove the part from '@' on");
    }
    if let Some(rule) = registry.and_then(broken_registry_rule) {
        return Some(rule);
    }
    if path.contains(':') {
        return Some("a name cannot contain a tag; put the part after ':' into the tag");
    }
    if registry.is_none() && path.len() == 64 && path.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some("64 hex digits would be read as an image ID");
    }
    path.split('/').find_map(broken_component_rule)
}

/// Splits off the registry: the first component if it has a dot or colon, or is `localhost`.
pub(super) fn split_registry(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => {
            (Some(first), rest)
        }
        _ => (None, name),
    }
}

fn broken_registry_rule(registry: &str) -> Option<&'static str> {
    let (host, port) = match registry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (Err(address), None),
        Some((address, port)) => (Err(address), Some(port.strip_prefix(':').unwrap_or("x"))),
        None => match registry.split_once(':') {
            Some((host, port)) => (Ok(host), Some(port)),
            None => (Ok(registry), None),
        },
    };
    if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit())) {
        return Some("the registry's port must be a number");
    }
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    match host {
        Ok(host) if host.split('.').all(label) => None,
        Err(address)
            if !address.is_empty()
                && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') =>
        {
            None
        }
        _ => Some(
            "the registry must be a host name (letters, digits, dashes and dots) or an [IPv6] \
             address",
        ),
    }
}

/// A component consists of runs of letters and digits, joined by one dot, one or two underscores,
/// or dashes.
fn broken_component_rule(component: &str) -> Option<&'static str> {
    if component.is_empty() {
        return Some(
            "it has an empty path component; check for leading, trailing or doubled slashes",
        );
    }
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !component.chars().all(|c| alphanumeric(c) || "._-".contains(c)) {
        return Some("only letters, digits, '.', '_' and '-' are allowed between slashes");
    }
    if !component.starts_with(alphanumeric) || !component.ends_with(alphanumeric) {
        return Some("each path component must begin and end with a letter or digit");
    }
    let is_separator =
        |run: &str| matches!(run, "" | "." | "_" | "__") || run.bytes().all(|b| b == b'-');
    if component.split(alphanumeric).all(is_separator) {
        None
    } else {
        Some("a separator within a component is one '.', one or two '_', or any number of '-'")
    }
}
