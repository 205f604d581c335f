//! The steps of a recipe: the list `run`, and dockerTools' commands.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::files::host_path;
use super::tables::Table;
use crate::archive::layer_tree::normalize;
use crate::image::env::Env;
use crate::steps::{Input, Place, Step, View};
use crate::text;

/// An entry of `run`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with command or args")]
pub(super) struct RunSettings {
    command: Option<String>,
    args: Option<Vec<String>>,
    env: Option<EnvSetting>,
    workdir: Option<String>,
    user: Option<UserSetting>,
    network: Option<bool>,
    inputs: Option<InputsSetting>,
    timeout: Option<u64>,
    #[serde(rename = "where")]
    place: Option<Place>,
}

impl Table for RunSettings {
    const KEY: &'static str = "run";
}

/// A user by name or number.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged, expecting = "a user such as \"app\", \"1000:1000\" or 1000")]
enum UserSetting {
    Number(u32),
    Name(String),
}

/// `NAME=value` entries, or a table.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged, expecting = "a table of strings or a list such as [\"NAME=value\"]")]
enum EnvSetting {
    Table(BTreeMap<String, String>),
    List(Vec<String>),
}

/// Inputs of a step.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged, expecting = "a path, a list of paths, or of tables with source and target")]
enum InputsSetting {
    One(String),
    Many(Vec<InputSetting>),
}

/// An input of a step.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged, expecting = "a path, or a table with source and target")]
enum InputSetting {
    Path(String),
    Table(InputTable),
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct InputTable {
    source: String,
    target: String,
}

/// The time limit of a step in seconds, if the recipe sets none.
const DEFAULT_TIMEOUT: u64 = 1800;
/// The folder of inputs in a step, if the recipe sets none.
const INPUTS: &str = "inputs";
/// The places in a step that its sandbox provides.
const SYSTEM_FOLDERS: [&str; 3] = ["dev", "proc", "sys"];

/// The commands of dockerTools.
#[derive(Debug, Default)]
pub(super) struct DockerToolsCommands {
    pub(super) run_as_root: Option<String>,
    pub(super) extra_commands: Option<String>,
    pub(super) fake_root_commands: Option<String>,
    pub(super) enable_fakechroot: bool,
}

/// The steps of a recipe in `folder`, in the order in which they run.
pub(super) fn steps(
    run: Vec<RunSettings>,
    commands: DockerToolsCommands,
    folder: &Path,
) -> Result<Vec<Step>, String> {
    let fake_root_view = if commands.enable_fakechroot { View::Image } else { View::TopLayer };
    let given = [
        (commands.run_as_root, View::Image),
        (commands.extra_commands, View::TopLayer),
        (commands.fake_root_commands, fake_root_view),
    ];
    let mut steps = Vec::new();
    for (script, view) in given {
        let script = script.filter(|script| !script.trim().is_empty());
        steps.extend(script.map(|script| script_step(script, view)));
    }
    for (index, settings) in run.into_iter().enumerate() {
        let step = step(settings, folder);
        steps.push(step.map_err(|problem| format!("run[{}]: {problem}", index + 1))?);
    }
    Ok(steps)
}

/// A step that runs a script of dockerTools: by the host's bash if it changes a layer, else by the
/// image's shell.
fn script_step(script: String, view: View) -> Step {
    let shell = if view == View::TopLayer { "bash" } else { "/bin/sh" };
    Step {
        args: vec![shell.to_owned(), "-ec".to_owned(), script],
        env: Vec::new(),
        workdir: None,
        user: None,
        network: false,
        inputs: Vec::new(),
        timeout: Duration::from_secs(DEFAULT_TIMEOUT),
        place: Place::Namespace,
        view,
    }
}

fn step(settings: RunSettings, folder: &Path) -> Result<Step, String> {
    let args = match (settings.command, settings.args) {
        (Some(command), None) if command.trim().is_empty() => {
            return Err("command is empty".to_owned());
        }
        (Some(command), None) => vec!["/bin/sh".to_owned(), "-ec".to_owned(), command],
        (None, Some(args)) => args,
        _ => return Err("needs either command, a line for the shell, or args".to_owned()),
    };
    if args.first().is_none_or(String::is_empty) {
        return Err("args needs a program".to_owned());
    }
    if settings.timeout == Some(0) {
        return Err("timeout must be at least 1 second".to_owned());
    }
    let workdir = settings.workdir;
    if let Some(workdir) = workdir.as_ref().filter(|workdir| !workdir.starts_with('/')) {
        return Err(format!("workdir {} must begin with a slash", text::quote(workdir)));
    }
    let user = settings.user.map(|user| match user {
        UserSetting::Number(number) => number.to_string(),
        UserSetting::Name(name) => name,
    });
    let texts = args.iter().chain(&workdir).chain(&user);
    if let Some(text) = texts.into_iter().find(|text| text.contains('\0')) {
        return Err(format!("{} contains a NUL byte; remove it", text::quote(text)));
    }
    Ok(Step {
        args,
        env: env(settings.env)?,
        workdir,
        user: user.filter(|user| !user.is_empty()),
        network: settings.network.unwrap_or(false),
        inputs: inputs(settings.inputs, folder)?,
        timeout: Duration::from_secs(settings.timeout.unwrap_or(DEFAULT_TIMEOUT)),
        place: settings.place.unwrap_or_default(),
        view: View::Image,
    })
}

fn env(setting: Option<EnvSetting>) -> Result<Vec<(String, String)>, String> {
    let entries = match setting {
        None => Vec::new(),
        Some(EnvSetting::List(entries)) => entries,
        Some(EnvSetting::Table(table)) => {
            table.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
        }
    };
    let env = Env::parse(entries).map_err(|error| error.to_string())?;
    Ok(env.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn inputs(setting: Option<InputsSetting>, folder: &Path) -> Result<Vec<Input>, String> {
    let settings = match setting {
        None => Vec::new(),
        Some(InputsSetting::One(path)) => vec![InputSetting::Path(path)],
        Some(InputsSetting::Many(settings)) => settings,
    };
    let mut inputs: Vec<Input> = Vec::new();
    for setting in settings {
        let (source, target) = match setting {
            InputSetting::Table(InputTable { source, target }) => (source, target),
            InputSetting::Path(source) => {
                host_path("inputs", folder, &source)?;
                let name = Path::new(&source).file_name().and_then(|name| name.to_str());
                let name =
                    name.ok_or_else(|| format!("input {} needs a target", text::quote(&source)))?;
                let target = format!("/{INPUTS}/{name}");
                (source, target)
            }
        };
        let (path, target) = (host_path("inputs", folder, &source)?, input_target(&target)?);
        let is_within = |a: &str, b: &str| {
            a.strip_prefix(b).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let other = inputs
            .iter()
            .find(|other| is_within(&other.target, &target) || is_within(&target, &other.target));
        if let Some(other) = other {
            return Err(format!(
                "inputs {} and {} have the same target, or one within the other",
                text::quote(&other.source.to_string_lossy()),
                text::quote(&source)
            ));
        }
        inputs.push(Input { source: path, target, left_out: Vec::new() });
    }
    Ok(inputs)
}

/// The path of an input in a step, without a slash at the beginning.
fn input_target(target: &str) -> Result<String, String> {
    let invalid = || {
        format!(
            "input target {} must be an absolute path outside of /dev, /proc and /sys",
            text::quote(target)
        )
    };
    let path = normalize(target.as_bytes()).filter(|path| !path.is_empty());
    let path = path.filter(|_| target.starts_with('/')).ok_or_else(invalid)?;
    let path = String::from_utf8(path.into_vec()).map_err(|_| invalid())?;
    let first = path.split('/').next().unwrap_or_default();
    if SYSTEM_FOLDERS.contains(&first) { Err(invalid()) } else { Ok(path) }
}
