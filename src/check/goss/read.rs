//! Reads a goss file and converts it into expectations.

use std::path::Path;

use serde_json::Value;

use super::container::{command, port, process, request};
use super::document::Gossfile;
use super::image::{file, group, package, user};
use crate::check::CheckError;
use crate::check::expectations::{
    Expectations, ReadyConditions, ServiceExpectations, SocketExpectations,
};
use crate::document::{self, DocumentError};
use crate::text;

/// The types of resources that are supported.
pub(in crate::check) const RESOURCES: [&str; 8] =
    ["file", "command", "http", "port", "user", "group", "process", "package"];
/// The types of resources that are supported, in a sentence.
const SUPPORTED: &str = "file, command, http, package, port, process, user and group";
/// The name of the test case about everything that needs a running container.
const SERVICE: &str = "of goss";

/// Whether `text`, the content of the file at `path`, is a goss file: a document whose top level
/// has tables with the names of goss's types of resources.
pub(in crate::check) fn is_gossfile(path: &Path, text: &str) -> bool {
    if !document::is_yaml(path) && !document::is_json(path, text) {
        return false;
    }
    // Templates are not YAML before they are rendered.
    let is_template = document::is_yaml(path) && text.contains("{{");
    let others = [
        "addr",
        "dns",
        "gossfile",
        "interface",
        "kernel-param",
        "matching",
        "mount",
        "registry",
        "service",
    ];
    match document::parse::<Value>(path, text) {
        Ok(Value::Object(table)) if table.contains_key("schemaVersion") => false,
        Ok(Value::Object(table)) => RESOURCES
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
    let file: Gossfile =
        document::parse(path, text).map_err(|DocumentError { place, problem }| {
            CheckError::Expectations { place, problem: problem.text }
        })?;
    if let Some(name) = file.unsupported() {
        return Err(invalid(format!(
            "goss resources of the type {name} are not supported; supported are {SUPPORTED}"
        )));
    }
    let expectations = convert(file).map_err(&invalid)?;
    let Expectations { goss, service, skipped, .. } = &expectations;
    match goss.is_empty() && service.is_empty() && skipped.is_empty() {
        true => Err(invalid("the file has no tests".to_owned())),
        false => Ok(expectations),
    }
}

/// The names of the skipped tests that need a container.
fn skipped(gossfile: &Gossfile) -> Vec<String> {
    let Gossfile { port, process, http, command, .. } = gossfile;
    let ports = port.iter().filter(|(_, it)| it.skip);
    let ports = ports.map(|(id, it)| format!("port {}", it.port.as_ref().unwrap_or(id)));
    let processes = process.iter().filter(|(_, it)| it.skip);
    let processes = processes.map(|(id, it)| format!("process {}", it.comm.as_ref().unwrap_or(id)));
    let requests = http.iter().filter(|(_, it)| it.skip);
    let requests = requests.map(|(id, it)| format!("http {}", it.url.as_ref().unwrap_or(id)));
    let commands = command.iter().filter(|(_, it)| it.skip);
    let commands = commands.map(|(id, _)| format!("command {id}"));
    ports.chain(processes).chain(requests).chain(commands).collect()
}

fn convert(gossfile: Gossfile) -> Result<Expectations, String> {
    let skipped = skipped(&gossfile);
    let files = gossfile.file.into_iter().map(|(id, it)| file(&id, it));
    let users = gossfile.user.into_iter().map(|(id, it)| user(&id, it));
    let groups = gossfile.group.into_iter().map(|(id, it)| group(&id, it));
    let packages = gossfile.package.into_iter().map(|(id, it)| package(&id, it));
    let goss = files.chain(users).chain(groups).chain(packages).collect::<Result<_, _>>()?;
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
    let mut expectations = Expectations { goss, skipped, ..Expectations::default() };
    expectations.env.unique = Some(false);
    expectations.service.extend(needs_container.then_some(service));
    Ok(expectations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_tests_of_every_type_are_kept_by_name() {
        let yaml = "
command: { a: { exec: x, exit-status: 0, skip: true }, b: { exit-status: 0 } }
http: { 'https://example.org/': { status: 200, skip: true } }
port: { 'tcp:80': { listening: true, skip: true } }
process: { web: { comm: nginx, running: true, skip: true } }
file: { /x: { exists: true, skip: true } }
";
        let expectations = parse(Path::new("goss.yaml"), yaml).unwrap();
        let skipped = ["port tcp:80", "process nginx", "http https://example.org/", "command a"];
        assert_eq!(expectations.skipped, skipped);
        assert_eq!(expectations.service[0].exec.len(), 1);
        assert!(expectations.goss[0].skip);
    }

    #[test]
    fn a_file_whose_tests_are_all_skipped_has_tests() {
        let yaml = "command: { a: { exit-status: 0, skip: true } }";
        let expectations = parse(Path::new("goss.yaml"), yaml).unwrap();
        assert_eq!(expectations.skipped, ["command a"]);
        assert!(expectations.service.is_empty());
    }
}
