//! Tests in a running container.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::document::{Command, Http, Port, Process};
use super::matchers::{Number, matcher, number, stream};
use super::retry_delay::retry_delay;
use crate::check::expectations::{
    self, ExecExpectations, GossExpectations, GossTest, HttpExpectations, Protocol, Retries,
    SocketExpectations, SocketSubject, Statuses, Timeout, TlsSettings,
};
use crate::text;

/// The default timeout of commands in milliseconds.
const COMMAND_TIMEOUT: u64 = 10_000;

pub(super) fn command(id: &str, command: Command) -> Result<GossTest, String> {
    let name = format!("command {id}");
    if command.skip {
        return Ok(GossTest::skipped(name));
    }
    let line = command.exec.unwrap_or_else(|| id.to_owned());
    let place = |key: &str| format!("{name}: {key}");
    let (exit_code, exit_code_rules) = match number(&place("exit-status"), &command.exit_status)? {
        Number::Equal(code) => (Some(code), None),
        Number::Matching(rules) => (None, Some(rules)),
    };
    let delay = retry_delay(command.retry_delay.as_ref())
        .ok_or_else(|| format!("{}: invalid retry_delay", text::escape(&name)))?;
    let count = u32::try_from(command.retry_count.max(0)).unwrap_or(u32::MAX);
    let milliseconds = command.timeout.filter(|timeout| *timeout > 0).unwrap_or(COMMAND_TIMEOUT);
    let expected = ExecExpectations {
        exit_code,
        exit_code_rules,
        retries: Retries { count, delay },
        stdout: stream(&place("stdout"), command.stdout)?,
        stderr: stream(&place("stderr"), command.stderr)?,
        timeout: Some(Timeout::from_millis(milliseconds)),
        ..ExecExpectations::new(["sh", "-c", &line])
    };
    Ok(GossTest { expected: Some(GossExpectations::Exec(expected.into())), name })
}

pub(super) fn port(id: &str, port: Port) -> Result<GossTest, String> {
    let id = port.port.unwrap_or_else(|| id.to_owned());
    if port.skip {
        return Ok(GossTest::skipped(format!("port {id}")));
    }
    let (table, number) = id.split_once(':').unwrap_or(("tcp", &id));
    let (protocol, ipv6) = table.strip_suffix('6').map_or((table, false), |it| (it, true));
    let (protocol, number) = (Protocol::named(protocol), number.parse::<u16>().ok());
    let (protocol, number) = protocol.zip(number).ok_or_else(|| {
        format!("invalid port {}; expected a number, or such as tcp6:80", text::quote(&id))
    })?;
    let name = format!("port {table}:{number}");
    let addresses = port.ip.map(|ip| matcher(&format!("{name}: ip"), &ip, false)).transpose()?;
    let expected = SocketExpectations {
        subject: SocketSubject::Port { port: expectations::Port { number, protocol }, ipv6 },
        expected: matcher(&format!("{name}: listening"), &port.listening, false)?,
        addresses,
    };
    Ok(GossTest { expected: Some(GossExpectations::Socket(expected)), name })
}

pub(super) fn process(id: &str, process: Process) -> Result<GossTest, String> {
    let comm = process.comm.unwrap_or_else(|| id.to_owned());
    let name = format!("process {comm}");
    if process.skip {
        return Ok(GossTest::skipped(name));
    }
    let expected = SocketExpectations {
        expected: matcher(&format!("{name}: running"), &process.running, false)?,
        subject: SocketSubject::Process(comm),
        addresses: None,
    };
    Ok(GossTest { expected: Some(GossExpectations::Socket(expected)), name })
}

/// Returns the path of a URL as goss sends it: without a fragment, and with the bytes encoded that
/// must be, as Go does it (`net/url`, `EscapedPath`).
fn sent_path(written: &str) -> String {
    let (path, _) = written.split_once('#').unwrap_or((written, ""));
    let mut sent = String::new();
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

/// A request to a port of the container, which goss sends from inside of it.
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
    let plain = url.strip_prefix("http://").map(|rest| (rest, "80"));
    let encrypted = url.strip_prefix("https://").map(|rest| (rest, "443"));
    let (rest, default_port) =
        plain.or(encrypted).ok_or_else(|| of_url("expected http:// or https://"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, default_port));
    if !matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0" | "[::1]") {
        return Err(of_url("only requests to the container itself are supported: localhost"));
    }
    if http.proxy.is_some_and(|proxy| !proxy.is_empty()) {
        return Err(of_url(
            "proxy is not supported: requests go straight to the container itself; remove it",
        ));
    }
    let status = match number(&of_url("status"), &http.status)? {
        Number::Equal(status) => Statuses::One(status),
        Number::Matching(rules) => Statuses::Matching(rules),
    };
    let header = |header: &String| {
        let (name, value) = header.split_once(": ").ok_or_else(|| of_url("malformed header"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    let request_headers = http.request_headers.iter().map(header);
    let mut request_headers = request_headers.collect::<Result<BTreeMap<_, _>, String>>()?;
    if http.username.is_some() || http.password.is_some() {
        let [user, password] = [http.username, http.password].map(Option::unwrap_or_default);
        let credentials = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        request_headers.insert("Authorization".to_owned(), credentials);
    }
    let verify = !http.allow_insecure;
    let [ca, certificate, key] = [http.ca_file, http.cert_file, http.key_file]
        .map(|file| file.filter(|path| !path.as_os_str().is_empty()));
    if certificate.is_some() != key.is_some() {
        return Err(of_url("give both cert-file and key-file, or neither"));
    }
    if encrypted.is_some() && verify && ca.is_none() {
        return Err(of_url("give ca-file, or allow-insecure: true"));
    }
    let server_name = Some(host.trim_matches(['[', ']']).to_owned());
    let tls = encrypted.map(|_| TlsSettings { verify, ca, server_name, certificate, key });
    Ok(HttpExpectations {
        port: port.parse().map_err(|_| of_url("malformed port"))?,
        path: (!path.is_empty()).then(|| sent_path(path)),
        method: http.method,
        request_headers,
        request_body: http.request_body,
        tls,
        redirects: !http.no_follow_redirects,
        status: Some(status),
        header_lines: stream(&of_url("headers"), http.headers)?,
        body: stream(&of_url("body"), http.body)?,
        timeout: http.timeout.map(|milliseconds| Timeout::from_millis(milliseconds.max(1))),
        ..HttpExpectations::default()
    })
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
        ] {
            assert_eq!(sent_path(written), sent);
        }
    }
}
