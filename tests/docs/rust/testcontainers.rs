//! The calls in the table of docs/testing.md for those who know testcontainers. They are compiled,
//! and not run.
#![allow(dead_code, unused_imports, unused_variables, reason = "compiled only")]

use std::path::Path;
use std::time::Duration;

use seatrial::build::Recipe;
use seatrial::conditions::{HttpExpectations, Port, ReadyConditions, Text};
use seatrial::engine::{FileToCopy, Mount, RunOptions, Settings};
use seatrial::harness::{Container, Daemon, HarnessError, LoadedImage};

async fn daemons() -> Result<(), HarnessError> {
    let own = Daemon::start("docker-28", Default::default()).await?;
    let shared = Daemon::shared("docker-28", Default::default()).await?;
    drop(shared);
    Ok(())
}

async fn images(daemon: &Daemon, recipe: Recipe, path: &Path) -> Result<(), HarnessError> {
    daemon.load_recipe(recipe).await?;
    daemon.load_archive(path, "my/app:1.0").await?;
    let client: Option<&seatrial::engine::bollard::Docker> =
        daemon.docker().map(|docker| docker.api());
    Ok(())
}

fn ready(limit: Duration) -> Vec<ReadyConditions> {
    let conditions = ReadyConditions::log("ready");
    vec![
        conditions.within(limit),
        ReadyConditions {
            log: Some(Text::containing("ready").times(2)),
            ..ReadyConditions::default()
        },
        ReadyConditions::http(8080, "/health"),
        ReadyConditions { http: None::<HttpExpectations>, ..ReadyConditions::default() },
        ReadyConditions::healthy(),
        ReadyConditions::port(5432),
        ReadyConditions::port(Port::udp(53)),
        ReadyConditions::exec(&["pg_isready"]),
    ]
}

async fn containers(
    image: &LoadedImage<'_>,
    options: RunOptions,
    conditions: ReadyConditions,
    limit: Duration,
) -> Result<(), HarnessError> {
    image.start(&options).await?;
    let container = image.start_ready(&options, &conditions).await?;
    image.run(&options, limit).await?;
    container.wait(limit).await?;
    Ok(())
}

async fn calls(
    container: Container<'_>,
    (path, content, mode): (&str, Vec<u8>, u32),
    (limit, grace): (Duration, Duration),
) -> Result<(), HarnessError> {
    let forwarded = container.forward(80).await?;
    let (port, address) = (forwarded.port(), forwarded.address());
    container.forward(Port::udp(53)).await?;
    container.address().await?;
    container.connect(80).await?;
    container.exec(&["true"], limit).await?;
    container.copy_in(path, content, mode).await?;
    container.copy_out(path).await?;
    container.follow_logs(limit);
    container.logs().await?;
    container.stop(grace).await?;
    container.remove().await
}

async fn options(daemon: &Daemon) -> Result<Vec<RunOptions>, HarnessError> {
    let (command, entrypoint) = (Some(Vec::new()), Some(Vec::new()));
    let (user, working_dir) = (Some(String::new()), Some(String::new()));
    let (host, target) = ("/host", "/target");
    let mounts = vec![Mount::new(host, target)];
    let target = target.to_owned();
    let network = daemon.create_network().await?;
    Ok(vec![
        RunOptions { env: vec!["KEY=value".into()], ..Default::default() },
        RunOptions { command, entrypoint, ..Default::default() },
        RunOptions { user, working_dir, ..Default::default() },
        RunOptions { mounts, ..Default::default() },
        RunOptions { volumes: vec![target], ..Default::default() },
        RunOptions { attachment: Some(network.attachment(&["db"])), ..Default::default() },
    ])
}

fn settings(files: Vec<FileToCopy>, target: String) -> [Settings; 3] {
    let (hostname, privileged, added_capabilities) = (Some(String::new()), true, Vec::new());
    [
        Settings { files, ..Default::default() },
        Settings { tmpfs: vec![target], ..Default::default() },
        Settings { hostname, privileged, added_capabilities, ..Default::default() },
    ]
}
