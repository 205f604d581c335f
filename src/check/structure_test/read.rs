//! Reads a container-structure-test file and converts it into expectations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::document::{
    CommandTest, ContainerRunOptions, FileContentTest, FileExistenceTest, LicenseTest,
    MetadataTest, StructureTest, Variable,
};
use super::validate::validate;
use super::{bind_mounts, env_file, permissions};
use crate::archive::ArchiveError;
use crate::check::CheckError;
use crate::check::expectations::{
    Capabilities, ContainerSpec, EnvExpectations, ExecutableBy, Expectations, FileExpectations,
    FileType, ImageExpectations, LicenseExpectations, Names, Pattern, RunExpectations, SomeNames,
    Text, check_ports,
};
use crate::check::{goss, secret_values};
use crate::conditions::Timeout;
use crate::document::{self, DocumentError, Problem};
use crate::text::{self, suggest};

/// The supported version of the schema.
const SCHEMA_VERSION: &str = "2.0.0";

/// The key of a list of variables.
const ENV_VARS: &str = "envVars";

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
    let test: StructureTest =
        document::parse(path, text).map_err(|DocumentError { place, problem }| {
            CheckError::Expectations { place, problem: with_goss_table(problem, path, text) }
        })?;
    let invalid =
        |problem: String| CheckError::Expectations { place: text::path(path).to_string(), problem };
    if test.schema_version != SCHEMA_VERSION {
        return Err(invalid(format!(
            "unsupported schemaVersion {}; expected \"{SCHEMA_VERSION}\"",
            text::quote(&test.schema_version)
        )));
    }
    let options = container(&test.container_run_options, folder)?;
    validate(&test).map_err(&invalid)?;
    let expectations = convert(test, &options).map_err(&invalid)?;
    let Expectations { image, env, file, run, license, .. } = &expectations;
    let checks_env = !env.has.is_empty() || !env.absent_from_config.is_empty();
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
        variables: Some(variables(&test.global_env_vars)),
        ..Expectations::default()
    })
}

/// Adds the type of resources of goss that an unknown key at the top of the document is nearest to,
/// if there is one.
fn with_goss_table(problem: Problem, path: &Path, text: &str) -> String {
    let document: Result<Value, _> = document::parse(path, text);
    let is_top = |key: &&str| document.is_ok_and(|document| document.get(key).is_some());
    match problem
        .unknown_key()
        .filter(is_top)
        .and_then(|key| suggest::nearest(key, goss::RESOURCES))
    {
        Some(nearest) => format!("{}; or \"{nearest}\", for a goss file", problem.text),
        None => problem.text,
    }
}

/// Returns the file of variables and the sources of mounts in `text`; none if it is malformed.
pub(in crate::check) fn named_files(path: &Path, text: &str) -> Vec<PathBuf> {
    let Ok(test) = document::parse::<StructureTest>(path, text) else { return Vec::new() };
    let ContainerRunOptions { env_file, bind_mounts, .. } = test.container_run_options;
    let variables = Some(env_file).filter(|file| !file.is_empty()).map(PathBuf::from);
    let mounts = bind_mounts.iter().filter_map(|mount| bind_mounts::parse(mount).ok());
    variables.into_iter().chain(mounts.map(|mount| mount.source)).collect()
}

/// Returns how the containers of all commands are started.
fn container(options: &ContainerRunOptions, folder: &Path) -> Result<ContainerSpec, CheckError> {
    let mut env = BTreeMap::new();
    if !options.env_file.is_empty() {
        let path = folder.join(&options.env_file);
        let text = document::read(&path, document::MAX_SIZE).map_err(ArchiveError::read(&path))?;
        let invalid = |problem| CheckError::Expectations { place: text::path(&path), problem };
        env.extend(env_file::parse(&text).map_err(invalid)?);
    }
    for name in &options.env_vars {
        // A variable that is not set or empty is left out.
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        env.extend(value.map(|value| (name.clone(), value)));
    }
    let invalid = |problem| CheckError::Expectations { place: "bindMounts".to_owned(), problem };
    let mounts = options.bind_mounts.iter().map(|mount| bind_mounts::parse(mount));
    let mounts = mounts.collect::<Result<_, _>>().map_err(invalid)?;
    Ok(ContainerSpec {
        env,
        user: (!options.user.is_empty()).then(|| options.user.clone()),
        network: Some(true),
        privileged: options.privileged,
        tty: options.allocate_tty,
        capabilities: Capabilities { add: options.capabilities.clone(), drop: Vec::new() },
        mounts,
        ..ContainerSpec::default()
    })
}

fn variables(list: &[Variable]) -> BTreeMap<String, String> {
    list.iter().map(|variable| (variable.key.clone(), variable.value.clone())).collect()
}

/// The time limit of a command. Their own program has none, and the files have no key for it.
const COMMAND_TIMEOUT: Timeout = Timeout::from_secs(600);

fn run(test: CommandTest, options: &ContainerSpec) -> Result<RunExpectations, String> {
    let CommandTest { name, command, args, .. } = test;
    let of_test = |problem: String| format!("command test {}: {problem}", text::quote(&name));
    // The image's entrypoint is not used.
    let (entrypoint, command) = (Some(vec![command]), Some(args));
    let text = |expected, excluded| texts(expected, excluded).map_err(of_test);
    Ok(RunExpectations {
        container: ContainerSpec { entrypoint, command, ..options.clone() },
        variables: variables(&test.env_vars),
        // `teardown` has no effect: a container does not outlive its test.
        setup: test.setup,
        setup_may_fail: true,
        exit_code: Some(test.exit_code),
        timeout: Some(COMMAND_TIMEOUT),
        stdout: text(test.expected_output, test.excluded_output)?,
        stderr: text(test.expected_error, test.excluded_error)?,
        ..RunExpectations::new(name.clone())
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
    texts.into_iter().map(Pattern::of_go).collect()
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
        exists: Some(test.should_exist.unwrap_or(true)),
        kind,
        mode,
        executable_by,
        uid: id(test.uid),
        gid: id(test.gid),
        name: Some(test.name),
        ..FileExpectations::new(test.path)
    })
}

fn content(test: FileContentTest) -> Result<FileExpectations, String> {
    let of_test = |problem| format!("file content test {}: {problem}", text::quote(&test.name));
    let content = texts(test.expected_contents, test.excluded_contents).map_err(of_test)?;
    Ok(FileExpectations {
        content,
        follow: true,
        is_literal: true,
        kind: Some(FileType::File),
        name: Some(test.name.clone()),
        ..FileExpectations::new(test.path)
    })
}

fn license(index: usize, test: LicenseTest) -> LicenseExpectations {
    let name = format!("license test {}", index + 1);
    LicenseExpectations { name, debian: test.debian, files: test.files }
}

/// Returns the rules for values by their names, which may have several rules. The list is that of
/// `key_of_file`.
fn values(key_of_file: &str, list: &[Variable]) -> Result<BTreeMap<String, Text>, String> {
    let mut rules = BTreeMap::<&str, (Option<String>, Vec<Pattern>)>::new();
    for Variable { key, value, is_regex } in list {
        let (exact, matches) = rules.entry(key).or_default();
        match (is_regex, exact) {
            (true, _) => matches.push(Pattern::of_go(value.clone())?),
            (false, Some(other)) if other != value => {
                let shown = |value: &str| match key_of_file {
                    ENV_VARS => {
                        secret_values::shown(key.as_bytes(), Some(value.as_bytes())).to_string()
                    }
                    _ => text::quote(value),
                };
                let problem = match [shown(other), shown(value)] {
                    [one, other] if one == other => "cannot have two values".to_owned(),
                    [one, other] => format!("cannot be both {one} and {other}"),
                };
                let problem = format!("{} {problem}", text::quote(key));
                return Err(format!("{key_of_file}: {problem}"));
            }
            (false, exact) => *exact = Some(value.clone()),
        }
    }
    let text = |(name, (exact, matches)): (&str, _)| {
        (name.to_owned(), Text::equal_and_matched(exact, matches))
    };
    Ok(rules.into_iter().map(text).collect())
}

fn env(test: &MetadataTest) -> Result<EnvExpectations, String> {
    let has = values(ENV_VARS, &test.env_vars)?;
    // The other program looks at the config only. Engines add variables to containers.
    let absent_from_config = test.unbound_env_vars.iter().map(|it| it.key.clone()).collect();
    let unique = Some(false);
    Ok(EnvExpectations { has, absent_from_config, unique, ..Default::default() })
}

fn image(test: MetadataTest) -> Result<ImageExpectations, String> {
    let labels = values("labels", &test.labels)?;
    let names = |has: Vec<String>, absent: Vec<String>| {
        (!has.is_empty() || !absent.is_empty()).then_some(Names::Some(SomeNames { has, absent }))
    };
    let text = |text: String| (!text.is_empty()).then_some(text);
    let exposed_ports = names(test.exposed_ports, test.unexposed_ports);
    exposed_ports.iter().try_for_each(check_ports)?;
    Ok(ImageExpectations {
        labels,
        entrypoint: test.entrypoint,
        cmd: test.cmd,
        working_dir: text(test.workdir),
        user: text(test.user),
        exposed_ports,
        volumes: names(test.volumes, test.unmounted_volumes),
        ..ImageExpectations::default()
    })
}
