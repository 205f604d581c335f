//! Reads a container-structure-test file and converts it into expectations.

use std::collections::BTreeMap;
use std::path::Path;

use super::document::{
    CommandTest, ContainerRunOptions, FileContentTest, FileExistenceTest, LicenseTest,
    MetadataTest, StructureTest, Variable,
};
use super::permissions;
use crate::archive::ArchiveError;
use crate::check::CheckError;
use crate::check::expectations::{
    Capabilities, ContainerSpec, EnvExpectations, ExecutableBy, Expectations, FileExpectations,
    ImageExpectations, LicenseExpectations, Names, Pattern, RunExpectations, SomeNames, Text,
};
use crate::document::{self, DocumentError};
use crate::text;

/// The supported version of the schema.
const SCHEMA_VERSION: &str = "2.0.0";

/// Whether `text`, the content of the file at `path`, is a container-structure-test file.
pub(in crate::check) fn is_structure_test(path: &Path, text: &str) -> bool {
    document::is_yaml(path) || (document::is_json(path, text) && text.contains("\"schemaVersion\""))
}

/// Parses `text`; errors name `path` as its file. Other files are relative to `folder`.
///
/// # Errors
/// If the text is malformed, has unknown keys or no test.
pub(in crate::check) fn parse(
    path: &Path,
    text: &str,
    folder: &Path,
) -> Result<Expectations, CheckError> {
    let test: StructureTest = document::parse(path, text)
        .map_err(|DocumentError { place, problem }| CheckError::Expectations { place, problem })?;
    let invalid =
        |problem: String| CheckError::Expectations { place: text::path(path).to_string(), problem };
    if test.schema_version != SCHEMA_VERSION {
        return Err(invalid(format!(
            "unsupported schemaVersion {}; expected \"{SCHEMA_VERSION}\"",
            text::quote(&test.schema_version)
        )));
    }
    let options = container(&test.container_run_options, &test.global_env_vars, folder)?;
    let expectations = convert(test, &options).map_err(&invalid)?;
    let Expectations { image, env, file, run, license, .. } = &expectations;
    let checks_env = !env.has.is_empty() || !env.absent.is_empty() || !env.matches.is_empty();
    let is_empty = image.is_empty() && file.is_empty() && run.is_empty() && license.is_empty();
    match is_empty && !checks_env {
        true => Err(invalid("the file has no tests".to_owned())),
        false => Ok(expectations),
    }
}

fn convert(test: StructureTest, options: &ContainerSpec) -> Result<Expectations, String> {
    let existence = test.file_existence_tests.into_iter().map(existence);
    let content = test.file_content_tests.into_iter().map(content);
    let runs = test.command_tests.into_iter().map(|test| run(test, options));
    let licenses = test.license_tests.into_iter().enumerate();
    Ok(Expectations {
        env: env(&test.metadata_test)?,
        image: image(test.metadata_test)?,
        file: existence.chain(content).collect::<Result<_, _>>()?,
        run: runs.collect::<Result<_, _>>()?,
        license: licenses.map(|(index, test)| license(index, test)).collect(),
        has_variables: true,
        ..Expectations::default()
    })
}

/// Returns how the containers of all commands are started.
fn container(
    options: &ContainerRunOptions,
    global: &[Variable],
    folder: &Path,
) -> Result<ContainerSpec, CheckError> {
    let mut env = variables(global);
    if !options.env_file.is_empty() {
        let path = folder.join(&options.env_file);
        let text = document::read(&path, document::MAX_SIZE).map_err(ArchiveError::read(&path))?;
        env.extend(env_file(&text));
    }
    for name in &options.env_vars {
        // As with `docker run --env NAME`, a variable that is not set is left out.
        if let Ok(value) = std::env::var(name) {
            env.insert(name.clone(), value);
        }
    }
    if let Some(mount) = options.bind_mounts.first() {
        return Err(CheckError::Expectations {
            place: "bindMounts".to_owned(),
            problem: format!(
                "{} is a path of this host, and the engine runs in a VM; mount copies \
                 with \"mounts\" in an expectations file of seatrial",
                text::quote(mount)
            ),
        });
    }
    Ok(ContainerSpec {
        env,
        user: (!options.user.is_empty()).then(|| options.user.clone()),
        network: Some(true),
        privileged: options.privileged,
        tty: options.allocate_tty,
        capabilities: Capabilities { add: options.capabilities.clone(), drop: Vec::new() },
        ..ContainerSpec::default()
    })
}

/// Returns the variables of a file with a `NAME=VALUE` in each line, as `docker run --env-file`.
fn env_file(text: &str) -> impl Iterator<Item = (String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
}

fn variables(list: &[Variable]) -> BTreeMap<String, String> {
    list.iter().map(|variable| (variable.key.clone(), variable.value.clone())).collect()
}

fn run(test: CommandTest, options: &ContainerSpec) -> Result<RunExpectations, String> {
    let CommandTest { name, command, args, .. } = test;
    let of_test = |problem: String| format!("command test {}: {problem}", text::quote(&name));
    if name.is_empty() || command.is_empty() {
        return Err(of_test("it needs a name and a command".to_owned()));
    }
    if test.setup.iter().chain(&test.teardown).any(Vec::is_empty) {
        return Err(of_test("a command of setup or teardown is empty".to_owned()));
    }
    let mut env = options.env.clone();
    env.extend(variables(&test.env_vars));
    // The image's entrypoint is not used.
    let (entrypoint, command) = (Some(vec![command]), Some(args));
    let text = |expected, excluded| texts(expected, excluded).map_err(of_test);
    Ok(RunExpectations {
        container: ContainerSpec { env, entrypoint, command, ..options.clone() },
        // `teardown` has no effect: a container does not outlive its test.
        setup: test.setup,
        setup_may_fail: true,
        start: crate::check::expectations::Start::Succeeds,
        start_error: None,
        exit_code: Some(test.exit_code),
        stdout: text(test.expected_output, test.excluded_output)?,
        stderr: text(test.expected_error, test.excluded_error)?,
        timeout: None,
        name: name.clone(),
    })
}

/// Returns rules that a text must match all of `expected` and none of `excluded`, if there are any.
fn texts(expected: Vec<String>, excluded: Vec<String>) -> Result<Option<Text>, String> {
    match expected.is_empty() && excluded.is_empty() {
        true => Ok(None),
        false => Ok(Some(Text::patterns(patterns(expected)?, patterns(excluded)?))),
    }
}

fn patterns(texts: Vec<String>) -> Result<Vec<Pattern>, String> {
    texts.into_iter().map(pattern).collect()
}

fn pattern(written: String) -> Result<Pattern, String> {
    let invalid = |error| format!("invalid regular expression {}: {error}", text::quote(&written));
    Pattern::try_from(written.clone()).map_err(invalid)
}

fn existence(test: FileExistenceTest) -> Result<FileExpectations, String> {
    let name = text::quote(&test.name);
    let (mut kind, mut mode) = (None, None);
    if !test.permissions.is_empty() {
        let (found, bits) = permissions::parse(&test.permissions).ok_or_else(|| {
            format!(
                "file existence test {name}: invalid permissions {}; expected a string such as \
                 \"-rw-r--r--\"",
                text::quote(&test.permissions)
            )
        })?;
        (kind, mode) = (Some(found), Some(bits));
    }
    let executable_by = match test.is_executable_by.as_str() {
        "" => None,
        "owner" => Some(ExecutableBy::Owner),
        "group" => Some(ExecutableBy::Group),
        "other" => Some(ExecutableBy::Other),
        "any" => Some(ExecutableBy::Any),
        other => {
            return Err(format!(
                "file existence test {name}: invalid isExecutableBy {}; expected owner, group, \
                 other or any",
                text::quote(other)
            ));
        }
    };
    // -1 stands for any owner.
    let id = |id: Option<i64>| id.and_then(|id| u64::try_from(id).ok());
    Ok(FileExpectations {
        exists: Some(test.should_exist),
        kind,
        mode,
        executable_by,
        uid: id(test.uid),
        gid: id(test.gid),
        ..FileExpectations::new(test.name, test.path)
    })
}

fn content(test: FileContentTest) -> Result<FileExpectations, String> {
    let of_test = |problem| format!("file content test {}: {problem}", text::quote(&test.name));
    let content = texts(test.expected_contents, test.excluded_contents).map_err(of_test)?;
    Ok(FileExpectations {
        content,
        follow: true,
        ..FileExpectations::new(test.name.clone(), test.path)
    })
}

fn license(index: usize, test: LicenseTest) -> LicenseExpectations {
    let name = format!("license test {}", index + 1);
    LicenseExpectations { name, debian: test.debian, files: test.files }
}

/// Returns the values that are expected exactly, and those that a regular expression matches.
type Values = (BTreeMap<String, String>, BTreeMap<String, Pattern>);

fn values(list: &[Variable]) -> Result<Values, String> {
    let (mut exact, mut matches) = Values::default();
    for Variable { key, value, is_regex } in list {
        match is_regex {
            true => drop(matches.insert(key.clone(), pattern(value.clone())?)),
            false => drop(exact.insert(key.clone(), value.clone())),
        }
    }
    Ok((exact, matches))
}

fn env(test: &MetadataTest) -> Result<EnvExpectations, String> {
    let (has, matches) = values(&test.env_vars)?;
    let absent = test.unbound_env_vars.iter().map(|variable| variable.key.clone()).collect();
    Ok(EnvExpectations { has, matches, absent, unique: Some(false), ..Default::default() })
}

fn image(test: MetadataTest) -> Result<ImageExpectations, String> {
    let (exact, matches) = values(&test.labels)?;
    let exact = exact.into_iter().map(|(name, value)| (name, Text::equal_to(value)));
    let matches = matches
        .into_iter()
        .map(|(name, pattern)| (name, Text::patterns(vec![pattern], Vec::new())));
    let names = |has: Vec<String>, absent: Vec<String>| {
        (!has.is_empty() || !absent.is_empty()).then_some(Names::Some(SomeNames { has, absent }))
    };
    let text = |text: String| (!text.is_empty()).then_some(text);
    Ok(ImageExpectations {
        labels: exact.chain(matches).collect(),
        entrypoint: test.entrypoint,
        cmd: test.cmd,
        working_dir: text(test.workdir),
        user: text(test.user),
        exposed_ports: names(test.exposed_ports, test.unexposed_ports),
        volumes: names(test.volumes, test.unmounted_volumes),
        ..ImageExpectations::default()
    })
}
