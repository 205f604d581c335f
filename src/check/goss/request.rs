//! Requests to a port of the container, which goss sends from inside of it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::document::Http;
use super::matchers::{Number, number, stream};
use crate::check::expectations::{
    GossExpectations, GossTest, HttpExpectations, Statuses, Timeout, TlsSettings,
};
use crate::text;

pub(super) fn request(id: &str, http: Http) -> Result<GossTest, String> {
    let url = http.url.clone().unwrap_or_else(|| id.to_owned());
    let name = format!("http {url}");
    if http.skip {
        return Ok(GossTest::skipped(name));
    }
    let expected = expected_answer(&url, http)?;
    Ok(GossTest { expected: Some(GossExpectations::Http(expected.into())), name })
}

fn expected_answer(url: &str, http: Http) -> Result<HttpExpectations, String> {
    let of_url = |problem: &str| format!("http {}: {problem}", text::escape(url));
    let target = Target::parse(url).map_err(of_url)?;
    if http.proxy.is_some() {
        return Err(of_url(
            "proxy is not supported: requests go straight to the container itself; remove it",
        ));
    }
    let status = match number(&of_url("status"), &http.status)? {
        Number::Equal(status) => Statuses::One(status),
        Number::Matching(rules) => Statuses::Matching(rules),
    };
    let body = stream(&of_url("body"), http.body.clone())?;
    Ok(HttpExpectations {
        request_headers: request_headers(&http).map_err(of_url)?,
        tls: target.tls(&http).map_err(of_url)?,
        port: target.port.parse().map_err(|_| of_url("malformed port"))?,
        path: Some(sent_path(target.path)),
        method: http.method,
        request_body: http.request_body,
        redirects: !http.no_follow_redirects,
        status: Some(status),
        header_lines: stream(&of_url("headers"), http.headers)?,
        ignores_body: body.is_none(),
        body,
        timeout: http.timeout.filter(|timeout| *timeout > 0).map(Timeout::from_millis),
        ..HttpExpectations::default()
    })
}

/// The parts of a URL of the container itself.
struct Target<'u> {
    is_encrypted: bool,
    host: &'u str,
    port: &'u str,
    path: &'u str,
}

impl<'u> Target<'u> {
    fn parse(url: &'u str) -> Result<Self, &'static str> {
        let plain = url.strip_prefix("http://").map(|rest| (rest, false));
        let encrypted = url.strip_prefix("https://").map(|rest| (rest, true));
        let (rest, is_encrypted) = plain.or(encrypted).ok_or("expected http:// or https://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let default_port = if is_encrypted { "443" } else { "80" };
        // The colons of an address in brackets are its own.
        let host_end = authority.find(']').map_or(0, |bracket| bracket + 1);
        let colon = authority[host_end..].find(':').map(|colon| host_end + colon);
        let (host, port) = match colon.map(|colon| (&authority[..colon], &authority[colon + 1..])) {
            Some((host, "")) => (host, default_port),
            Some(parts) => parts,
            None => (authority, default_port),
        };
        match host {
            "localhost" | "127.0.0.1" | "0.0.0.0" | "[::1]" => {
                Ok(Self { is_encrypted, host, port, path })
            }
            _ => Err("only requests to the container itself are supported: localhost"),
        }
    }

    fn tls(&self, http: &Http) -> Result<Option<TlsSettings>, &'static str> {
        let verify = !http.allow_insecure;
        let [ca, certificate, key] = [&http.ca_file, &http.cert_file, &http.key_file]
            .map(|file| file.clone().filter(|path| !path.as_os_str().is_empty()));
        if certificate.is_some() != key.is_some() {
            return Err("give both cert-file and key-file, or neither");
        }
        if self.is_encrypted && verify && ca.is_none() {
            return Err("give ca-file, or allow-insecure: true");
        }
        let server_name = Some(self.host.trim_matches(['[', ']']).to_owned());
        let settings = TlsSettings { verify, ca, server_name, certificate, key };
        Ok(self.is_encrypted.then_some(settings))
    }
}

/// Returns the headers of the request, with the user and password.
fn request_headers(http: &Http) -> Result<BTreeMap<String, String>, &'static str> {
    let header = |header: &String| {
        let (name, value) = header.split_once(": ").ok_or("malformed header")?;
        Ok((name.to_owned(), value.to_owned()))
    };
    let mut headers =
        http.request_headers.iter().map(header).collect::<Result<BTreeMap<_, _>, &str>>()?;
    if http.username.is_some() || http.password.is_some() {
        let [user, password] =
            [&http.username, &http.password].map(|part| part.as_deref().unwrap_or_default());
        let credentials = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        headers.insert("Authorization".to_owned(), credentials);
    }
    Ok(headers)
}

/// Returns the path of a URL as goss sends it: without a fragment, and with the bytes encoded that
/// must be, as Go does it (`net/url`, `EscapedPath`).
fn sent_path(written: &str) -> String {
    let (path, _) = written.split_once('#').unwrap_or((written, ""));
    let mut sent = if path.starts_with('/') { String::new() } else { "/".to_owned() };
    let mut is_query = false;
    for byte in path.bytes() {
        is_query |= byte == b'?';
        // Go leaves queries as they are.
        let is_kept = match byte {
            b'"' | b'<' | b'>' => false,
            b'`' | b'{' | b'}' | b'|' | b'\\' | b'^' => is_query,
            byte => byte.is_ascii_graphic(),
        };
        match is_kept {
            true => sent.push(byte.into()),
            false => sent += &format!("%{byte:02X}"),
        }
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_sent_as_go_sends_them() {
        // Go: url.Parse("http://localhost" + written), then RequestURI().
        for (written, sent) in [
            ("/static/../../etc/passwd", "/static/../../etc/passwd"),
            ("/%2e%2e/x", "/%2e%2e/x"),
            ("/a b\u{fc}", "/a%20b%C3%BC"),
            ("/a\\b?c={d}", "/a%5Cb?c={d}"),
            ("/a#b", "/a"),
            ("", "/"),
            ("?x=1", "/?x=1"),
            ("#b", "/"),
        ] {
            assert_eq!(sent_path(written), sent);
        }
    }

    fn http(yaml: &str) -> HttpExpectations {
        let path = std::path::Path::new("goss.yaml");
        expected_answer("http://localhost/", crate::document::parse(path, yaml).ok().unwrap())
            .unwrap()
    }

    #[test]
    fn urls_of_the_container_itself_are_read_as_go_reads_them() {
        // Go: url.Parse, then Hostname(), Port() or the scheme's, and RequestURI().
        for (url, host, port, path) in [
            ("http://localhost", "localhost", 80, "/"),
            ("https://localhost", "localhost", 443, "/"),
            ("http://localhost:8080?x=1", "localhost", 8080, "/?x=1"),
            ("http://localhost?x=a/b:c", "localhost", 80, "/?x=a/b:c"),
            ("http://127.0.0.1:8080#x", "127.0.0.1", 8080, "/"),
            ("http://localhost:/x", "localhost", 80, "/x"),
            ("http://[::1]/", "[::1]", 80, "/"),
            ("http://[::1]:8080/x", "[::1]", 8080, "/x"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.host, target.port), (host, port.to_string().as_str()), "{url}");
            assert_eq!(sent_path(target.path), path, "{url}");
        }
        for url in ["localhost", "http://example.org/", "http://[::2]/", "http://localhost.x?[::1]"]
        {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn empty_values_are_as_good_as_absent() {
        // goss: system/http.go and resource/http.go.
        let empty =
            http("status: 200\nusername: ''\npassword: ''\ntimeout: 0\nmethod: ''\nproxy: ''");
        assert!(empty.request_headers.is_empty(), "{:?}", empty.request_headers);
        assert_eq!((empty.timeout, empty.method()), (None, "GET"));
        let user = http("status: 200\nusername: a\npassword: ''\ntimeout: 1500");
        assert_eq!(user.request_headers["Authorization"], "Basic YTo=");
        assert_eq!(user.timeout, Some(Timeout::from_millis(1500)));
    }

    #[test]
    fn a_body_of_which_nothing_is_expected_is_ignored() {
        assert!(http("status: 200").ignores_body);
        assert!(http("status: 200\nbody: []").ignores_body);
        assert!(!http("status: 200\nbody: [x]").ignores_body);
    }
}
