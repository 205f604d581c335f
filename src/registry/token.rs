//! Authentication: challenges, and bearer tokens from a token server (distribution
//! `docs/spec/auth`: "Token Authentication Specification", "OAuth 2 Authentication").

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use serde::Deserialize;

use super::secret::{Credentials, Secret};

/// Permissions within a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    /// Reading.
    Pull,
    /// Reading and writing.
    Push,
}

/// The permissions that a request needs: repositories with the access to each.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope(BTreeSet<(String, Access)>);

impl Scope {
    /// Access to one repository.
    pub(super) fn of(repository: &str, access: Access) -> Self {
        Self([(repository.to_owned(), access)].into())
    }

    /// Adds reading another repository.
    #[must_use]
    pub(super) fn and_pull(mut self, repository: &str) -> Self {
        self.0.insert((repository.to_owned(), Access::Pull));
        self
    }

    /// The permissions as a token server expects them.
    pub(super) fn words(&self) -> Vec<String> {
        let word = |(repository, access): &(String, Access)| match access {
            Access::Pull => format!("repository:{repository}:pull"),
            Access::Push => format!("repository:{repository}:pull,push"),
        };
        self.0.iter().map(word).collect()
    }

    /// The repositories, for messages.
    pub(super) fn describe(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.join(" and ")
    }
}

/// The kind of authentication that a registry asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with every request.
    Basic,
    /// A token from a token server.
    Bearer {
        /// The token server.
        realm: String,
        /// The name by which the token server knows the registry.
        service: Option<String>,
    },
}

impl Challenge {
    /// The challenge in the headers of an answer; a bearer challenge is preferred.
    pub(super) fn find(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter();
        let mut found = None;
        for value in values {
            // Other characters can be in texts for people, and the parser accepts none there.
            let ascii = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { '?' };
            let value: String = value.as_bytes().iter().map(ascii).collect();
            let value = without_bad_spaces(&value);
            // The challenges before one that cannot be parsed count.
            for challenge in http_auth::ChallengeParser::new(&value).map_while(Result::ok) {
                let parameter = |name: &str| {
                    let named = |(key, _): &&(&str, _)| key.eq_ignore_ascii_case(name);
                    challenge.params.iter().find(named).map(|(_, value)| value.to_unescaped())
                };
                if challenge.scheme.eq_ignore_ascii_case("bearer") {
                    if let Some(realm) = parameter("realm") {
                        return Some(Self::Bearer { realm, service: parameter("service") });
                    }
                } else if challenge.scheme.eq_ignore_ascii_case("basic") {
                    found = Some(Self::Basic);
                }
            }
        }
        found
    }
}

/// The challenges `text` without spaces around the equals signs of parameters, which readers must
/// accept (RFC 9110, section 11.2: "BWS"), but the parser does not.
fn without_bad_spaces(text: &str) -> String {
    let (mut clean, mut is_quoted, mut is_escaped) = (String::new(), false, false);
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        let is_equals = next == '=' && !is_quoted;
        if is_equals {
            clean.truncate(clean.trim_end_matches([' ', '\t']).len());
        }
        clean.push(next);
        while is_equals && rest.next_if(|next| matches!(next, ' ' | '\t')).is_some() {}
        is_quoted ^= next == '"' && !is_escaped;
        is_escaped = is_quoted && next == '\\' && !is_escaped;
    }
    clean
}

/// The value of an `Authorization` header with name and password.
pub(super) fn basic(credentials: &Credentials) -> Option<Secret> {
    match credentials {
        Credentials::Password { username, password } => {
            let pair = STANDARD.encode(format!("{username}:{}", password.expose()));
            Some(Secret::new(format!("Basic {pair}")))
        }
        Credentials::IdentityToken(_) | Credentials::RegistryToken(_) => None,
    }
}

/// The value of an `Authorization` header with the bearer token `token`.
pub(super) fn bearer(token: &str) -> Secret {
    Secret::new(format!("Bearer {token}"))
}

/// A token server's answer.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    /// The lifetime in seconds; not a number in the answers of some servers.
    #[serde(default)]
    expires_in: serde_json::Value,
}

/// The lifetime of a token whose server gives none, in seconds, according to the specification.
const DEFAULT_LIFETIME: u64 = 60;
/// The part of a token's lifetime in which it is used: the clocks differ.
const MARGIN: Duration = Duration::from_secs(10);

/// Tokens that are valid, by what they permit.
#[derive(Debug, Default)]
pub(super) struct Tokens(BTreeMap<Scope, (Secret, Instant)>);

impl Tokens {
    /// The token for `scope`.
    pub(super) fn get(&self, scope: &Scope) -> Option<Secret> {
        let (token, expires) = self.0.get(scope)?;
        (Instant::now() < *expires).then(|| token.clone())
    }

    /// Adds the token for `scope` in a token server's answer, and returns it.
    pub(super) fn insert(&mut self, scope: &Scope, answer: TokenAnswer) -> Option<Secret> {
        let TokenAnswer { token, access_token, expires_in } = answer;
        let given = |token: Option<String>| token.filter(|token| !token.is_empty());
        let token = bearer(&given(token).or(given(access_token))?);
        let seconds = expires_in.as_u64().unwrap_or(DEFAULT_LIFETIME);
        let lifetime = Duration::from_secs(seconds.min(24 * 3600));
        let expires = Instant::now() + lifetime.saturating_sub(MARGIN).max(lifetime / 2);
        self.0.insert(scope.clone(), (token.clone(), expires));
        Some(token)
    }

    /// Forgets the token for `scope` if it is `rejected`: another request may have replaced it.
    pub(super) fn remove(&mut self, scope: &Scope, rejected: Option<&Secret>) {
        if self.0.get(scope).is_some_and(|(token, _)| Some(token) == rejected) {
            self.0.remove(scope);
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn challenge(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        values.iter().for_each(|value| {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        });
        Challenge::find(&headers)
    }

    // The example of the token authentication specification.
    #[test]
    fn the_bearer_challenge_is_found_among_others() {
        let bearer = "Bearer realm=\"https://auth.example/token\",service=\"registry.example\",\
                      scope=\"repository:samalba/my-app:pull,push\"";
        let expected = Challenge::Bearer {
            realm: "https://auth.example/token".to_owned(),
            service: Some("registry.example".to_owned()),
        };
        assert_eq!(challenge(&[bearer]), Some(expected.clone()));
        assert_eq!(challenge(&["Basic realm=\"x\"", bearer]), Some(expected));
        assert_eq!(challenge(&["Basic realm=\"x\""]), Some(Challenge::Basic));
        let unquoted = format!("{bearer}, NTLM TlRMTVNTUAACAAAA==");
        assert_eq!(challenge(&[&unquoted]), challenge(&[bearer]), "RFC 9110: token68");
        let latin = b"Bearer realm=\"https://auth.example/token\", title=\"caf\xe9\"";
        let latin = HeaderValue::from_bytes(latin).unwrap();
        let found = Challenge::find(&[(WWW_AUTHENTICATE, latin)].into_iter().collect());
        assert!(matches!(found, Some(Challenge::Bearer { .. })), "RFC 9110: obs-text");
        let spaces = bearer.replace('=', " = ").replace(',', " ,\t");
        assert_eq!(challenge(&[&spaces]), challenge(&[bearer]), "RFC 9110: BWS");
        let quoted = "Bearer realm = \"https://auth.example/?a = \\\"b = c\", service\t=x";
        let expected = Challenge::Bearer {
            realm: "https://auth.example/?a = \"b = c".to_owned(),
            service: Some("x".to_owned()),
        };
        assert_eq!(challenge(&[quoted]), Some(expected), "spaces in quotes stay");
        assert_eq!(challenge(&["Negotiate"]), None);
        assert_eq!(challenge(&["\"\"\""]), None);
    }

    #[test]
    fn scopes_name_every_repository() {
        let scope = Scope::of("a/b", Access::Push).and_pull("c");
        assert_eq!(scope.words(), ["repository:a/b:pull,push", "repository:c:pull"]);
    }

    #[test]
    fn a_token_is_used_until_it_expires() {
        let scope = Scope::of("a", Access::Pull);
        let mut tokens = Tokens::default();
        let answer = |expires_in: u64| TokenAnswer {
            token: None,
            access_token: Some("t".to_owned()),
            expires_in: expires_in.into(),
        };
        assert!(tokens.insert(&scope, answer(300)).is_some());
        assert!(tokens.get(&scope).is_some());
        assert!(tokens.get(&Scope::of("a", Access::Push)).is_none());
        tokens.insert(&scope, answer(0));
        assert!(tokens.get(&scope).is_none());
        let kept = tokens.insert(&scope, answer(300));
        tokens.remove(&scope, Some(&Secret::new("Bearer other")));
        assert!(tokens.get(&scope).is_some());
        tokens.remove(&scope, kept.as_ref());
        assert!(tokens.get(&scope).is_none());
    }
}
