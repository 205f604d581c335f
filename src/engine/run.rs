//! How containers are run and how they end, whichever engine runs them.

/// The most bytes of what a container prints that are read.
pub const OUTPUT_MAX: usize = 16 << 20;

/// How a container of an image is run. What is left out is as the image has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// The command; in the place of the image's `Cmd`.
    pub command: Option<Vec<String>>,
    /// In the place of the image's `Entrypoint`.
    pub entrypoint: Option<Vec<String>>,
    /// `NAME=value`, over the image's.
    pub env: Vec<String>,
    /// The user, by number or name.
    pub user: Option<String>,
    /// The working directory.
    pub working_dir: Option<String>,
    /// Whether it has a network: the engine's default one.
    pub network: bool,
    /// Whether nothing is set up for it to reach, not even its own loopback: faster by far, for what only looks at itself.
    /// In a pod, which is never without a network, it then has the node's.
    pub bare: bool,
    /// Places that get an empty volume of their own.
    pub volumes: Vec<String>,
    /// What of the engine's host is seen in it, as `PLACE:PLACE_IN_IT[:ro]`.
    pub binds: Vec<String>,
    /// What it is given on standard input.
    pub stdin: Option<String>,
}

impl RunOptions {
    /// `command` in the place of the image's.
    pub fn command(command: &[&str]) -> Self {
        Self { command: Some(owned(command)), ..Self::default() }
    }

    /// `program` of the engine's host, which must need no libraries, in the place of the image's own.
    pub fn tool(program: &str, arguments: &[&str]) -> Self {
        // Under its own name, which tells busybox and its like what they are.
        let name = program.rsplit('/').next().unwrap_or(program);
        let place = format!("/.seatrial/{name}");
        Self {
            binds: vec![format!("{program}:{place}:ro")],
            entrypoint: Some(vec![place]),
            command: Some(owned(arguments)),
            ..Self::default()
        }
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// What a container printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOutput {
    /// The exit code; 128 and a signal's number when that signal ended the command, as shells count.
    pub code: i64,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl RunOutput {
    /// The signal that ended the command, as far as the engine tells: a command that ends by itself with 137 looks as
    /// if it had been killed.
    pub fn signal(&self) -> Option<i64> {
        Some(self.code - 128).filter(|signal| (1..=64).contains(signal))
    }
}

/// How a container is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whether it runs.
    pub running: bool,
    /// What its healthcheck says, where the image has one that the engine heeds.
    pub health: Option<String>,
}
