//! A step: a command, and everything that it sees.

use std::path::PathBuf;
use std::time::Duration;

use crate::text;

/// A command that changes an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// The environment; no variable of the host is added.
    pub env: Vec<(String, String)>,
    /// The working directory in the image; `/` if not given.
    pub workdir: Option<String>,
    /// The user, as in Docker: a name or number, and a group behind a colon. Root if not given.
    pub user: Option<String>,
    /// Whether the command can use the network.
    pub network: bool,
    /// Files and folders of the host that the command can read.
    pub inputs: Vec<Input>,
    /// The time limit.
    pub timeout: Duration,
    /// Where it runs.
    pub place: Place,
    /// The files that it sees.
    pub view: View,
}

/// A file or folder of the host that a step can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The file or folder on the host.
    pub source: PathBuf,
    /// Its path in the step, without a slash at the beginning.
    pub target: String,
    /// Files in the folder, by their resolved paths, that the step does not see: outputs of builds.
    pub left_out: Vec<PathBuf>,
}

/// Where a step runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In namespaces of this host.
    #[default]
    Namespace,
    /// As root in a VM.
    Vm,
}

/// The files that a step sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// The image so far is its root.
    #[default]
    Image,
    /// The layer with the contents is its working directory, and it runs programs of the host.
    TopLayer,
}

impl Step {
    /// The command for messages, on one line.
    pub fn title(&self) -> String {
        let command = match self.args.as_slice() {
            [_, option, script] if option.ends_with('c') && option.starts_with('-') => script,
            args => &args.join(" "),
        };
        let line = command.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        match command.trim() == line {
            true => text::shorten(line).into_owned(),
            false => format!("{} ...", text::shorten(line)),
        }
    }
}
