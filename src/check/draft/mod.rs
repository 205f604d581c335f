//! Drafts an expectations file from an image, and from what a container of it did.

pub mod behavior;
mod lines;

use std::fmt::Write as _;

use self::behavior::Behavior;
use self::lines::{key, line, list, string};
use crate::archive::tar::MemberKind;
use crate::check::CheckError;
use crate::check::image::ImageUnderTest;
use crate::image::DEFAULT_PATH;
use crate::image::config::{ContainerConfig, Set};
use crate::{lint, text};

/// The rules that a draft denies, as far as the image has no findings of them.
const DENIED: [&str; 10] = [
    "architecture-of-files",
    "duplicate-env",
    "empty-password",
    "invalid-env",
    "package-cache",
    "root-user",
    "secret-in-env",
    "setuid-file",
    "vcs-folder",
    "world-writable",
];
/// Ports on which servers commonly speak TLS.
const TLS_PORTS: [u16; 2] = [443, 8443];
/// Ports on which servers commonly speak HTTP without TLS.
const HTTP_PORTS: [u16; 8] = [80, 3000, 5000, 8000, 8080, 8081, 8888, 9090];

impl ImageUnderTest {
    /// Drafts an expectations file that the image meets, with a comment at each guess. What a
    /// container did is part of it, if one was [observed](Self::observe).
    ///
    /// # Errors
    /// If a layer cannot be read.
    pub fn draft(&self, observed: Option<&Behavior>) -> Result<String, CheckError> {
        let config = &self.image.config.config;
        let mut draft = format!(
            "# A draft of expectations for {}.\n# Delete or change what need not stay so.\n",
            text::shorten(&self.name())
        );
        self.draft_image(config, &mut draft)?;
        draft_env(config, &mut draft);
        self.draft_programs(config, &mut draft)?;
        match observed {
            Some(behavior) => behavior.draft(is_shell(config), &mut draft),
            None => draft_command(config, &mut draft),
        }
        Ok(draft)
    }

    fn draft_image(&self, config: &ContainerConfig, draft: &mut String) -> Result<(), CheckError> {
        let image = &self.image.config;
        draft.push_str("\n[image]\n");
        line(draft, "architecture", string(&image.architecture));
        line(draft, "os", string(&image.os));
        for (key, words) in [("entrypoint", &config.entrypoint), ("cmd", &config.cmd)] {
            line(draft, key, list(words.iter().flatten()));
        }
        let texts = [
            ("user", &config.user),
            ("working_dir", &config.working_dir),
            ("stop_signal", &config.stop_signal),
        ];
        for (key, value) in texts {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                line(draft, key, string(value));
            }
        }
        let sets = [("exposed_ports", &config.exposed_ports), ("volumes", &config.volumes)];
        for (key, set) in sets {
            line(draft, key, list(names(set)));
        }
        let size: u64 = self.layer_sizes().iter().sum();
        draft.push_str("# Guess: a tenth more than today.\n");
        let _ = writeln!(draft, "max_size = {}", size + size / 10);
        let findings = lint::lint(&self.image, &self.layers)?;
        let has_none = |rule: &&&str| !findings.iter().any(|finding| finding.rule == **rule);
        draft.push_str("# Guess: what seatrial inspect does not find today is never wanted.\n");
        line(draft, "deny", list(DENIED.iter().filter(has_none)));
        Ok(())
    }

    /// The program that a container starts, and the one that it gets as the first argument, as the
    /// scripts do that many images have as their entrypoint.
    fn draft_programs(
        &self,
        config: &ContainerConfig,
        draft: &mut String,
    ) -> Result<(), CheckError> {
        let words = |list: &Option<Vec<String>>| list.iter().flatten().next().cloned();
        let (first, second) = match words(&config.entrypoint) {
            Some(program) => (Some(program), words(&config.cmd)),
            None => (words(&config.cmd), None),
        };
        let second = second.filter(|second| Some(second) != first.as_ref());
        let comments = ["The program that a container starts.", "The program of its arguments."];
        for (program, comment) in [first, second].iter().zip(comments) {
            let Some(program) = program.as_ref().filter(|program| !program.is_empty()) else {
                continue;
            };
            if let Some(path) = self.program(program, config)? {
                let _ = write!(draft, "\n# {comment}\n[[file]]\n");
                line(draft, "path", string(&path));
                draft.push_str("follow = true\ntype = \"file\"\nexecutable_by = \"other\"\n");
            }
        }
        Ok(())
    }

    /// The path at which a container finds a program, if the image has it.
    fn program(
        &self,
        program: &str,
        config: &ContainerConfig,
    ) -> Result<Option<String>, CheckError> {
        let candidates: Vec<String> = match program.contains('/') {
            true => vec![program.to_owned()],
            false => search_path(config).map(|folder| format!("{folder}/{program}")).collect(),
        };
        for path in candidates.into_iter().filter(|path| path.starts_with('/')) {
            let target = self.target_of(&path);
            let mut is_program = false;
            self.for_each_found(target.iter().map(|path| (path.as_str(), false)), |_, file| {
                let is_file = matches!(file.kind, MemberKind::File | MemberKind::HardLink);
                is_program = is_file && file.mode & 0o001 != 0;
            })?;
            if is_program {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

fn search_path(config: &ContainerConfig) -> impl Iterator<Item = &str> {
    let env = config.env.iter().flatten();
    let path = env.filter_map(|entry| entry.strip_prefix("PATH=")).next_back();
    path.unwrap_or(DEFAULT_PATH).split(':').map(|folder| folder.trim_end_matches('/'))
}

/// The environment, but for values that seem to be secrets.
fn draft_env(config: &ContainerConfig, draft: &mut String) {
    let mut table = toml::Table::new();
    let mut repeated = false;
    for (name, value) in config.env.iter().flatten().filter_map(|entry| entry.split_once('=')) {
        if !lint::is_secret(name) {
            repeated |= table.insert(name.to_owned(), string(value)).is_some();
        }
    }
    if repeated {
        draft.push_str(
            "\n# Some variables occur more than once, which Kubernetes does not specify.\n",
        );
        draft.push_str("[env]\nunique = false\n");
    }
    if !table.is_empty() {
        draft.push_str("\n# Guess: all variables with today's values.\n[env.has]\n");
        table.into_iter().for_each(|(name, value)| line(draft, &key(&name), value));
    }
}

/// Whether the command is a shell without arguments.
fn is_shell(config: &ContainerConfig) -> bool {
    let words: Vec<&String> = config.entrypoint.iter().chain(&config.cmd).flatten().collect();
    let [program] = words[..] else { return false };
    matches!(program.rsplit('/').next(), Some("sh" | "ash" | "bash" | "dash" | "zsh"))
}

/// A service or command, as a comment: only a person knows what it answers.
fn draft_command(config: &ContainerConfig, draft: &mut String) {
    let ports = names(&config.exposed_ports);
    let number = |port: &String| port.split('/').next()?.parse::<u16>().ok();
    let speaks_tls = |port: &u16| TLS_PORTS.contains(port);
    let rank = |port: &u16| (speaks_tls(port), !HTTP_PORTS.contains(port), *port);
    let tcp = ports.filter(|port| !port.ends_with("/udp") && !port.ends_with("/sctp"));
    let has_program = config.entrypoint.iter().chain(&config.cmd).flatten().next().is_some();
    if !has_program || is_shell(config) {
        let problem = if has_program { "starts a shell" } else { "has no command" };
        let _ = write!(
            draft,
            "\n# The image {problem}. Guess: users give commands of their own.\n\
             # Remove the comment signs, and write one.\n# [[run]]\n# name = \"a command\"\n\
             # container = {{ command = [\"/bin/true\"] }}\n# exit_code = 0\n"
        );
    } else if let Some(port) = tcp.filter_map(number).min_by_key(rank) {
        let tls = if speaks_tls(&port) { "tls = { verify = false }, " } else { "" };
        let _ = write!(
            draft,
            "\n# Guess: the image is a service. Remove the comment signs, and add its answers.\n\
             # [[service]]\n# name = \"starts\"\n# ready = {{ port = {port} }}\n\
             # http = [{{ port = {port}, {tls}path = \"/\", status = 200 }}]\n\
             # stop = {{ timeout = 10 }}\n"
        );
    } else {
        draft.push_str(
            "\n# Guess: the image is a program that ends. Remove the comment signs, and add what \
             it prints.\n# [[run]]\n# name = \"ends\"\n# exit_code = 0\n",
        );
    }
}

fn names(set: &Option<Set>) -> impl Iterator<Item = &String> {
    set.iter().flat_map(|set| set.keys())
}
