//! What an engine tells of an image, and what its containers do.

use std::time::{Duration, Instant};

use super::expectations::{ContainerSpec, EnvExpectations, Expectations, RunExpectations};
use super::service;
use super::static_checks::env;
use super::value::excerpt;
use super::verdict::{Checks, LOADED, Outcome, TestCase};
use crate::engine::run::OUTPUT_MAX;
use crate::engine::{EngineError, RunOptions};
use crate::harness::{HarnessError, LoadedImage};

/// How long a command may take where nothing is said.
const WITHIN: u64 = 60;

impl ContainerSpec {
    /// How a container is made; `network` where the wish says nothing of it.
    pub(super) fn options(&self, network: bool) -> RunOptions {
        let shell = self
            .shell
            .as_ref()
            .map(|line| vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()]);
        RunOptions {
            command: if shell.is_some() { Some(Vec::new()) } else { self.command.clone() },
            entrypoint: shell.or_else(|| self.entrypoint.clone()),
            env: self.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            user: self.user.clone(),
            working_dir: self.working_dir.clone(),
            network: self.network.unwrap_or(network),
            stdin: self.stdin.clone(),
            volumes: self.volumes.clone(),
            bare: false,
            binds: Vec::new(),
        }
    }
}

/// Tells `each` of every case, as it ends.
pub(super) async fn cases(
    image: &LoadedImage<'_>,
    engine: &str,
    expected: &Expectations,
    runnable: Result<(), String>,
    each: &mut (dyn FnMut(TestCase) + Send),
) {
    let begin = Instant::now();
    let ended = |name: String, result: Result<(Checks, String), HarnessError>, begin: Instant| {
        let (checks, output) = match result {
            Ok(found) => found,
            // The engine is fine: it is the image, or what was asked of it.
            Err(HarnessError::Engine(EngineError::Start(problem))) => {
                let mut checks = Checks::default();
                checks.record("its start", "the command starts", problem, false);
                (checks, String::new())
            }
            Err(HarnessError::Engine(error @ EngineError::OutputTooLarge)) => {
                let mut checks = Checks::default();
                checks.record(
                    "its output",
                    format!("at most {} MiB", OUTPUT_MAX >> 20),
                    error,
                    false,
                );
                (checks, String::new())
            }
            Err(error) => {
                let outcome = Outcome::Error { problem: crate::errors::chain(&error) };
                let case = TestCase {
                    outcome,
                    ..TestCase::finished(image.reference(), name, Checks::default())
                };
                return case.on_engine(engine, begin.elapsed());
            }
        };
        TestCase {
            output,
            ..TestCase::finished(image.reference(), name, checks).on_engine(engine, begin.elapsed())
        }
    };
    each(ended(LOADED.to_owned(), listed(image).await, begin));
    if let Err(reason) = runnable {
        for case in
            super::static_checks::left_out(image.reference(), expected, &reason).into_iter().skip(1)
        {
            each(case.on_engine(engine, Duration::ZERO));
        }
        return;
    }
    let begin = Instant::now();
    each(ended(
        "environment of a container".to_owned(),
        container_env(image, &expected.env).await,
        begin,
    ));
    let lacks = |options: &RunOptions| image.daemon().engine().unsupported(options);
    let skipped = |name: String, reason: &str| {
        let outcome = Outcome::Skipped { reason: reason.to_owned() };
        let case =
            TestCase { outcome, ..TestCase::finished(image.reference(), name, Checks::default()) };
        case.on_engine(engine, Duration::ZERO)
    };
    for run in &expected.run {
        let (begin, name) = (Instant::now(), format!("run {}", run.name));
        match lacks(&run.container.options(false)) {
            Some(reason) => each(skipped(name, reason)),
            None => each(ended(name, self::run(image, run).await, begin)),
        }
    }
    for expected in &expected.service {
        let (begin, name) = (Instant::now(), format!("service {}", expected.name));
        let health = image
            .daemon()
            .engine()
            .health_check_unsupported()
            .filter(|_| expected.ready.healthy == Some(true));
        match lacks(&expected.container.options(true)).or(health) {
            Some(reason) => each(skipped(name, reason)),
            None => each(ended(name, service::hold(image, expected).await, begin)),
        }
    }
}

/// The engine lists the image as it was named, and takes it to be for what its config says.
async fn listed(image: &LoadedImage<'_>) -> Result<(Checks, String), HarnessError> {
    let mut checks = Checks::default();
    let tags = image.inspect().await?.tags;
    let family = image.daemon().vm().family();
    let fine = tags.iter().any(|tag| family.tag_matches(tag, image.reference()));
    checks.record("tags that the engine lists", image.reference(), tags.join(", "), fine);
    Ok((checks, String::new()))
}

/// What the process of a container sees: all that the config has, and all that is expected.
async fn container_env(
    image: &LoadedImage<'_>,
    expected: &EnvExpectations,
) -> Result<(Checks, String), HarnessError> {
    let (config, container) = (image.config_env().await?, image.container_env().await?);
    let mut checks = env(expected, &container, false);
    for entry in &config {
        let name = entry.split('=').next().unwrap_or_default();
        let found: Vec<&String> =
            container.iter().filter(|seen| seen.split('=').next() == Some(name)).collect();
        checks.record(
            "an entry of the config, in a container",
            entry,
            format!("{found:?}"),
            container.contains(entry),
        );
    }

    Ok((checks, container.join("\n")))
}

async fn run(
    image: &LoadedImage<'_>,
    expected: &RunExpectations,
) -> Result<(Checks, String), HarnessError> {
    let limit = Duration::from_secs(expected.timeout.unwrap_or(WITHIN));
    let mut checks = Checks::default();
    let output = match image.run(&expected.container.options(false), limit).await {
        Err(HarnessError::Engine(EngineError::Timeout { .. })) => {
            checks.record(
                "its end",
                format!("within {} s", limit.as_secs()),
                "it was still running",
                false,
            );
            return Ok((checks, String::new()));
        }
        output => output?,
    };
    let code = expected.exit_code.unwrap_or(0);
    let found = match output.signal() {
        Some(signal) => format!("{} (as if by signal {signal})", output.code),
        None => output.code.to_string(),
    };
    let told = if output.stderr.is_empty() || expected.stderr.is_some() {
        found
    } else {
        format!("{found}, and on standard error {}", excerpt(&output.stderr))
    };
    checks.record("exit code", code, told, code == output.code);
    for (what, expected, found) in [
        ("standard output", &expected.stdout, &output.stdout),
        ("standard error", &expected.stderr, &output.stderr),
    ] {
        if let Some(text) = expected {
            checks.record(what, text, excerpt(found), text.is_match(found));
        }
    }
    Ok((checks, format!("{}{}", output.stdout, output.stderr)))
}
