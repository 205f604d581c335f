//! Reads a goss file and converts it into expectations.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::document::{Command, File, Gossfile, Group, Http, Port, Process, User};
use crate::check::CheckError;
use crate::check::expectations::{
    ExecExpectations, Expectations, GossExpectations, GossProperty, GossSubject, HttpExpectations,
    Matcher, ReadyConditions, ServiceExpectations, SocketExpectations, SocketSubject, Statuses,
    Text, Timeout, TlsSettings,
};
use crate::document::{self, DocumentError};
use crate::text;

/// The types of resources that are supported.
const SUPPORTED: &str = "file, command, http, port, user, group and process";
/// The name of the test case about everything that needs a running container.
const SERVICE: &str = "of goss";
/// The default timeout of commands in milliseconds.
const COMMAND_TIMEOUT: u64 = 10_000;

/// Whether `text`, the content of the file at `path`, is a goss file: a document whose top level
/// has tables with the names of goss's types of resources.
pub(in crate::check) fn is_gossfile(path: &Path, text: &str) -> bool {
    if !document::is_yaml(path) && !document::is_json(path, text) {
        return false;
    }
    // Templates are not YAML before they are rendered.
    let is_template = document::is_yaml(path) && text.contains("{{");
    let types = ["file", "command", "http", "port", "user", "group", "process", "package"];
    let others = ["addr", "dns", "gossfile", "interface", "kernel-param", "mount", "service"];
    match document::parse::<Value>(path, text) {
        Ok(Value::Object(table)) if table.contains_key("schemaVersion") => false,
        Ok(Value::Object(table)) => types
            .iter()
            .chain(&others)
            .any(|name| table.get(*name).is_some_and(|value| value.is_object())),
        _ => is_template,
    }
}

/// Parses `text`; errors name `path` as its file.
///
/// # Errors
/// If the text is malformed, is a template, has unknown keys, types of resources or matchers that
/// are not supported, or no test.
pub(in crate::check) fn parse(path: &Path, text: &str) -> Result<Expectations, CheckError> {
    let invalid =
        |problem: String| CheckError::Expectations { place: text::path(path).to_string(), problem };
    if text.contains("{{") {
        return Err(invalid(
            "templates in goss files are not supported; render the file with goss render".into(),
        ));
    }
    let file: Gossfile = document::parse(path, text)
        .map_err(|DocumentError { place, problem }| CheckError::Expectations { place, problem })?;
    if let Some(name) = file.unsupported() {
        return Err(invalid(format!(
            "goss resources of the type {name} are not supported; supported are {SUPPORTED}"
        )));
    }
    let expectations = convert(file).map_err(&invalid)?;
    match expectations.goss.is_empty() && expectations.service.is_empty() {
        true => Err(invalid("the file has no tests".to_owned())),
        false => Ok(expectations),
    }
}

fn convert(gossfile: Gossfile) -> Result<Expectations, String> {
    let files = gossfile.file.into_iter().map(|(id, it)| file(&id, it));
    let users = gossfile.user.into_iter().map(|(id, it)| user(&id, it));
    let groups = gossfile.group.into_iter().map(|(id, it)| group(&id, it));
    let goss = files.chain(users).chain(groups).collect::<Result<_, _>>()?;
    let ports = gossfile.port.into_iter().filter(|(_, it)| !it.skip);
    let processes = gossfile.process.into_iter().filter(|(_, it)| !it.skip);
    let sockets: Vec<SocketExpectations> = ports
        .map(|(id, it)| port(&id, it))
        .chain(processes.map(|(id, it)| process(&id, it)))
        .collect::<Result<_, _>>()?;
    let requests = gossfile.http.into_iter().filter(|(_, it)| !it.skip);
    let http: Vec<_> = requests.map(|(id, it)| request(&id, it)).collect::<Result<_, _>>()?;
    let commands = gossfile.command.into_iter().filter(|(_, it)| !it.skip);
    let exec: Vec<_> = commands.map(|(id, it)| command(&id, it)).collect::<Result<_, _>>()?;
    let needs_container = !sockets.is_empty() || !http.is_empty() || !exec.is_empty();
    let service = ServiceExpectations {
        sockets,
        http,
        exec,
        ..ServiceExpectations::new(SERVICE.to_owned(), ReadyConditions::default())
    };
    // A goss file says nothing about duplicate variables.
    let mut expectations = Expectations { goss, ..Expectations::default() };
    expectations.env.unique = Some(false);
    expectations.service.extend(needs_container.then_some(service));
    Ok(expectations)
}

/// Parses a matcher; errors name its place.
fn matcher(place: &str, written: &Value, stream: bool) -> Result<Matcher, String> {
    Matcher::parse(written, stream).map_err(|problem| format!("{}: {problem}", text::escape(place)))
}

/// Parses the matchers of properties. An empty list of patterns expects nothing.
fn properties(
    name: &str,
    written: Vec<(GossProperty, &str, Option<Value>)>,
) -> Result<Vec<(GossProperty, Matcher)>, String> {
    let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    let mut properties = Vec::new();
    for (property, key, value) in written {
        let stream = property == GossProperty::Contents;
        if let Some(value) = value.filter(|value| !stream || !is_empty(value)) {
            let place = format!("{name}: {key}");
            if property == GossProperty::Mode && value.is_number() {
                return Err(format!("{place}: write the mode as a string, such as \"0644\""));
            }
            properties.push((property, matcher(&place, &value, stream)?));
        }
    }
    Ok(properties)
}

fn file(id: &str, file: File) -> Result<GossExpectations, String> {
    let path = file.path.unwrap_or_else(|| id.to_owned());
    let name = format!("file {path}");
    if file.md5.is_some() {
        return Err(format!("{name}: md5 is not supported; use sha256"));
    }
    if !path.starts_with('/') {
        return Err(format!("{name}: expected an absolute path"));
    }
    let written = vec![
        (GossProperty::Mode, "mode", file.mode),
        (GossProperty::Size, "size", file.size),
        (GossProperty::Owner, "owner", file.owner),
        (GossProperty::Uid, "uid", file.uid),
        (GossProperty::Group, "group", file.group),
        (GossProperty::Gid, "gid", file.gid),
        (GossProperty::LinkedTo, "linked-to", file.linked_to),
        (GossProperty::Filetype, "filetype", file.filetype),
        (GossProperty::Contents, "contents", file.contents),
        (GossProperty::Contents, "contains", file.contains),
        (GossProperty::Sha256, "sha256", file.sha256),
        (GossProperty::Sha512, "sha512", file.sha512),
    ];
    Ok(GossExpectations {
        skip: file.skip,
        subject: GossSubject::File(path),
        exists: matcher(&format!("{name}: exists"), &file.exists, false)?,
        properties: properties(&name, written)?,
        name,
    })
}

fn user(id: &str, user: User) -> Result<GossExpectations, String> {
    let user_name = user.username.unwrap_or_else(|| id.to_owned());
    let name = format!("user {user_name}");
    let written = vec![
        (GossProperty::Uid, "uid", user.uid),
        (GossProperty::Gid, "gid", user.gid),
        (GossProperty::Groups, "groups", user.groups),
        (GossProperty::Home, "home", user.home),
        (GossProperty::Shell, "shell", user.shell),
    ];
    Ok(GossExpectations {
        skip: user.skip,
        subject: GossSubject::User(user_name),
        exists: matcher(&format!("{name}: exists"), &user.exists, false)?,
        properties: properties(&name, written)?,
        name,
    })
}

fn group(id: &str, group: Group) -> Result<GossExpectations, String> {
    let group_name = group.groupname.unwrap_or_else(|| id.to_owned());
    let name = format!("group {group_name}");
    Ok(GossExpectations {
        skip: group.skip,
        subject: GossSubject::Group(group_name),
        exists: matcher(&format!("{name}: exists"), &group.exists, false)?,
        properties: properties(&name, vec![(GossProperty::Gid, "gid", group.gid)])?,
        name,
    })
}

fn command(id: &str, command: Command) -> Result<ExecExpectations, String> {
    let name = format!("command {id}");
    let line = command.exec.unwrap_or_else(|| id.to_owned());
    let exit_code = match &command.exit_status {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let exit_code = exit_code.ok_or_else(|| {
        format!("{}: exit-status: only a number is supported", text::escape(&name))
    })?;
    let stream = |key: &str, written: Option<Value>| {
        let written = written.filter(|value| value.as_array().is_none_or(|list| !list.is_empty()));
        let parse = |value: Value| matcher(&format!("{name}: {key}"), &value, true);
        written.map(parse).transpose().map(|matcher| matcher.map(Text::matched_by))
    };
    let milliseconds = command.timeout.filter(|timeout| *timeout > 0).unwrap_or(COMMAND_TIMEOUT);
    Ok(ExecExpectations {
        command: ["sh", "-c", &line].map(str::to_owned).to_vec(),
        user: None,
        exit_code: Some(exit_code),
        stdout: stream("stdout", command.stdout)?,
        stderr: stream("stderr", command.stderr)?,
        timeout: Some(Timeout::from_millis(milliseconds)),
    })
}

fn port(id: &str, port: Port) -> Result<SocketExpectations, String> {
    let id = port.port.unwrap_or_else(|| id.to_owned());
    let (protocol, number) = id.split_once(':').unwrap_or(("tcp", &id));
    let is_known = matches!(protocol, "tcp" | "tcp6" | "udp" | "udp6");
    let number = number.parse().ok().filter(|_| is_known).ok_or_else(|| {
        format!("invalid port {}; expected a number, or such as tcp6:80", text::quote(&id))
    })?;
    let name = format!("port {protocol}:{number}");
    let addresses = port.ip.map(|ip| matcher(&format!("{name}: ip"), &ip, false)).transpose()?;
    Ok(SocketExpectations {
        subject: SocketSubject::Port(protocol.to_owned(), number),
        expected: matcher(&format!("{name}: listening"), &port.listening, false)?,
        addresses,
        name,
    })
}

fn process(id: &str, process: Process) -> Result<SocketExpectations, String> {
    let comm = process.comm.unwrap_or_else(|| id.to_owned());
    let name = format!("process {comm}");
    Ok(SocketExpectations {
        expected: matcher(&format!("{name}: running"), &process.running, false)?,
        subject: SocketSubject::Process(comm),
        addresses: None,
        name,
    })
}

/// A request to a port of the container, which goss sends from inside of it.
fn request(id: &str, http: Http) -> Result<HttpExpectations, String> {
    let url = http.url.unwrap_or_else(|| id.to_owned());
    let of_url = |problem: &str| format!("http {}: {problem}", text::escape(&url));
    let plain = url.strip_prefix("http://").map(|rest| (rest, "80"));
    let encrypted = url.strip_prefix("https://").map(|rest| (rest, "443"));
    let (rest, default_port) =
        plain.or(encrypted).ok_or_else(|| of_url("expected http:// or https://"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, default_port));
    if !matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0" | "[::1]") {
        return Err(of_url("only requests to the container itself are supported: localhost"));
    }
    let status = http.status.as_u64().and_then(|status| u16::try_from(status).ok());
    let status = status.ok_or_else(|| of_url("status: only a number is supported"))?;
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
    let text = |key: &str, written: Option<Value>| {
        let written = written.filter(|value| value.as_array().is_none_or(|list| !list.is_empty()));
        let parse = |value: Value| matcher(&of_url(key), &value, true);
        written.map(parse).transpose().map(|matcher| matcher.map(Text::matched_by))
    };
    let verify = !http.allow_insecure;
    let tls = encrypted.map(|_| TlsSettings { verify, ca: None, server_name: None });
    Ok(HttpExpectations {
        port: port.parse().map_err(|_| of_url("malformed port"))?,
        path: (!path.is_empty()).then(|| path.to_owned()),
        method: http.method,
        request_headers,
        request_body: http.request_body,
        tls,
        redirects: !http.no_follow_redirects,
        status: Some(Statuses::One(status)),
        header_lines: text("headers", http.headers)?,
        body: text("body", http.body)?,
        timeout: http.timeout.map(|milliseconds| Timeout::from_millis(milliseconds.max(1))),
        ..HttpExpectations::default()
    })
}
