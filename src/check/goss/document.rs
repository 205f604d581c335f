//! The keys of a goss file, as its own types have them. Matchers are parsed later.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A file. The types of resources that are not supported are read to be refused by name.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Gossfile {
    #[serde(deserialize_with = "or_empty")]
    pub file: BTreeMap<String, File>,
    #[serde(deserialize_with = "or_empty")]
    pub command: BTreeMap<String, Command>,
    #[serde(deserialize_with = "or_empty")]
    pub http: BTreeMap<String, Http>,
    #[serde(deserialize_with = "or_empty")]
    pub port: BTreeMap<String, Port>,
    #[serde(deserialize_with = "or_empty")]
    pub user: BTreeMap<String, User>,
    #[serde(deserialize_with = "or_empty")]
    pub group: BTreeMap<String, Group>,
    #[serde(deserialize_with = "or_empty")]
    pub process: BTreeMap<String, Process>,
    #[serde(deserialize_with = "or_empty")]
    pub package: BTreeMap<String, Package>,
    #[serde(deserialize_with = "or_empty")]
    pub gossfile: BTreeMap<String, Include>,
    pub addr: Option<IgnoredAny>,
    pub dns: Option<IgnoredAny>,
    pub interface: Option<IgnoredAny>,
    pub kernel_param: Option<IgnoredAny>,
    pub matching: Option<IgnoredAny>,
    pub mount: Option<IgnoredAny>,
    pub registry: Option<IgnoredAny>,
    pub service: Option<IgnoredAny>,
}

/// Reads a table; one without a value is empty.
fn or_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads a string. goss takes an empty one for none.
fn not_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()))
}

impl Gossfile {
    /// Adds the resources of `other`, which replace those of the same type and ID.
    pub(super) fn merge(&mut self, other: Self) {
        let Self { file, command, http, port, user, group, process, package, .. } = other;
        self.file.extend(file);
        self.command.extend(command);
        self.http.extend(http);
        self.port.extend(port);
        self.user.extend(user);
        self.group.extend(group);
        self.process.extend(process);
        self.package.extend(package);
    }

    /// The files that requests name.
    pub(super) fn files_of_requests(&self) -> impl Iterator<Item = &PathBuf> {
        self.http
            .values()
            .flat_map(|http| [&http.ca_file, &http.cert_file, &http.key_file])
            .flatten()
    }

    /// The same, to change them.
    pub(super) fn files_of_requests_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let named = self.http.values_mut().flat_map(|http| {
            let Http { ca_file, cert_file, key_file, .. } = http;
            [ca_file, cert_file, key_file].into_iter().flatten()
        });
        // goss takes an empty path for none.
        named.filter(|path| !path.as_os_str().is_empty())
    }

    /// The name of the first type of resources in the file that is not supported.
    pub(super) fn unsupported(&self) -> Option<&'static str> {
        let types = [
            ("addr", &self.addr),
            ("dns", &self.dns),
            ("interface", &self.interface),
            ("kernel-param", &self.kernel_param),
            ("matching", &self.matching),
            ("mount", &self.mount),
            ("registry", &self.registry),
            ("service", &self.service),
        ];
        types.into_iter().find(|(_, value)| value.is_some()).map(|(name, _)| name)
    }
}

/// Other goss files that are part of a file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Include {
    #[serde(rename = "title", default)]
    pub _title: IgnoredAny,
    #[serde(rename = "meta", default)]
    pub _meta: IgnoredAny,
    #[serde(default)]
    pub skip: bool,
    /// A path or a pattern for paths; by default the ID.
    #[serde(default, deserialize_with = "not_empty")]
    pub file: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct File {
    #[serde(rename = "title", default)]
    pub _title: IgnoredAny,
    #[serde(rename = "meta", default)]
    pub _meta: IgnoredAny,
    #[serde(default)]
    pub skip: bool,
    #[serde(default, deserialize_with = "not_empty")]
    pub path: Option<String>,
    pub exists: Value,
    pub mode: Option<Value>,
    pub size: Option<Value>,
    pub owner: Option<Value>,
    pub uid: Option<Value>,
    pub group: Option<Value>,
    pub gid: Option<Value>,
    pub linked_to: Option<Value>,
    pub filetype: Option<Value>,
    pub contents: Option<Value>,
    /// The old name of `contents`.
    pub contains: Option<Value>,
    pub md5: Option<Value>,
    pub sha256: Option<Value>,
    pub sha512: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Command {
    #[serde(rename = "title", default)]
    pub _title: IgnoredAny,
    #[serde(rename = "meta", default)]
    pub _meta: IgnoredAny,
    #[serde(default)]
    pub skip: bool,
    #[serde(default, deserialize_with = "not_empty")]
    pub exec: Option<String>,
    pub exit_status: Value,
    pub stdout: Option<Value>,
    pub stderr: Option<Value>,
    /// Milliseconds.
    pub timeout: Option<u64>,
    /// The number of further attempts.
    #[serde(rename = "retry_count", default)]
    pub retry_count: i64,
    #[serde(rename = "retry_delay")]
    pub retry_delay: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Http {
    #[serde(rename = "title", default)]
    pub _title: IgnoredAny,
    #[serde(rename = "meta", default)]
    pub _meta: IgnoredAny,
    #[serde(default)]
    pub skip: bool,
    #[serde(default, deserialize_with = "not_empty")]
    pub url: Option<String>,
    pub status: Value,
    #[serde(default, deserialize_with = "not_empty")]
    pub method: Option<String>,
    #[serde(default)]
    pub no_follow_redirects: bool,
    /// Milliseconds.
    pub timeout: Option<u64>,
    #[serde(default)]
    pub allow_insecure: bool,
    #[serde(default)]
    pub request_headers: Vec<String>,
    pub request_body: Option<String>,
    #[serde(default, deserialize_with = "not_empty")]
    pub username: Option<String>,
    #[serde(default, deserialize_with = "not_empty")]
    pub password: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "not_empty")]
    pub proxy: Option<String>,
    pub headers: Option<Value>,
    pub body: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Port {
    #[serde(rename = "title", default)]
    pub _title: IgnoredAny,
    #[serde(rename = "meta", default)]
    pub _meta: IgnoredAny,
    #[serde(default)]
    pub skip: bool,
    #[serde(default, deserialize_with = "not_empty")]
    pub port: Option<String>,
    pub listening: Value,
    pub ip: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct User {
    #[serde(rename = "title", default)]
    pub _title: IgnoredAny,
    #[serde(rename = "meta", default)]
    pub _meta: IgnoredAny,
    #[serde(default)]
    pub skip: bool,
    #[serde(default, deserialize_with = "not_empty")]
    pub username: Option<String>,
    pub exists: Value,
    pub uid: Option<Value>,
    pub gid: Option<Value>,
    pub groups: Option<Value>,
    pub home: Option<Value>,
    pub shell: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Group {
    #[serde(rename = "title", default)]
    pub _title: IgnoredAny,
    #[serde(rename = "meta", default)]
    pub _meta: IgnoredAny,
    #[serde(default)]
    pub skip: bool,
    #[serde(default, deserialize_with = "not_empty")]
    pub groupname: Option<String>,
    pub exists: Value,
    pub gid: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Process {
    #[serde(rename = "title", default)]
    pub _title: IgnoredAny,
    #[serde(rename = "meta", default)]
    pub _meta: IgnoredAny,
    #[serde(default)]
    pub skip: bool,
    #[serde(default, deserialize_with = "not_empty")]
    pub comm: Option<String>,
    pub running: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Package {
    #[serde(rename = "title", default)]
    pub _title: IgnoredAny,
    #[serde(rename = "meta", default)]
    pub _meta: IgnoredAny,
    #[serde(default)]
    pub skip: bool,
    #[serde(default, deserialize_with = "not_empty")]
    pub name: Option<String>,
    pub installed: Value,
    pub versions: Option<Value>,
    // The packages of an image do not change between attempts.
    #[serde(rename = "retry_count", default)]
    pub _retry_count: IgnoredAny,
    #[serde(rename = "retry_delay", default)]
    pub _retry_delay: IgnoredAny,
}
