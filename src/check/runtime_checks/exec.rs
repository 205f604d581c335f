//! Converts an [`ExecExpectations`] into options for an engine.

use crate::check::expectations::ExecExpectations;
use crate::engine::{Engine, ExecOptions};

impl ExecExpectations {
    /// Returns the options for `engine`. If that gives commands neither variables nor a working
    /// directory, the shell of a command line sets them.
    pub(super) fn options(&self, engine: &Engine) -> ExecOptions {
        let options = ExecOptions {
            command: self.words(),
            env: self.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            user: self.user.clone(),
            working_dir: self.working_dir.clone(),
            stdin: self.stdin.clone(),
        };
        match self.shell_that_sets() {
            Some(line) if engine.unsupported_in_exec(&options).is_some() => ExecOptions {
                command: ["/bin/sh", "-c", &line].map(str::to_owned).to_vec(),
                env: Vec::new(),
                working_dir: None,
                ..options
            },
            _ => options,
        }
    }

    /// Returns a command line that sets the working directory and the variables, and runs `shell`
    /// in another shell; `None` if there is no `shell`, or a shell cannot set a variable.
    fn shell_that_sets(&self) -> Option<String> {
        let line = quoted(self.shell.as_ref()?);
        if !self.env.keys().all(|name| is_identifier(name)) {
            return None;
        }
        let folder = self.working_dir.iter().map(|path| format!("cd {} && ", quoted(path)));
        let export =
            |(name, value): (&String, &String)| format!("export {name}={} && ", quoted(value));
        let settings: String = folder.chain(self.env.iter().map(export)).collect();
        Some(format!("{settings}exec /bin/sh -c {line}"))
    }
}

/// Whether a shell can have a variable of this name.
fn is_identifier(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(is_part) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Quotes `text` for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
