//! Tests of an image, written as a user of the library writes them.

use std::path::Path;
use std::time::Duration;

use seatrial::build::Recipe;
use seatrial::conditions::ReadyConditions;
use seatrial::engine::RunOptions;
use seatrial::harness::{Daemon, HarnessError, LoadedImage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The time limit of a command. Only one that hangs takes so long.
const LIMIT: Duration = Duration::from_secs(120);

/// The engine, in one VM for all tests of this file.
async fn daemon() -> Result<Daemon, HarnessError> {
    Daemon::shared("docker-20.10", Default::default()).await
}

/// The image under test, built from its recipe.
async fn image(daemon: &Daemon) -> Result<LoadedImage<'_>, HarnessError> {
    daemon.load_recipe(Recipe::read(Path::new("examples/service.toml"))?).await
}

#[tokio::test]
async fn the_service_answers_requests_of_this_host() -> Result<(), HarnessError> {
    let daemon = daemon().await?;
    let image = image(&daemon).await?;
    let ready = ReadyConditions::http(80, "/").within(LIMIT);
    let service = image.start_ready(&RunOptions::service(), &ready).await?;

    let port = service.forward(80).await?; // reachable until `port` is dropped
    let mut connection = TcpStream::connect(port.address()).await.unwrap();
    connection.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("\r\n\r\n<p>It works.</p>\n"), "{answer}");

    let output = service.exec(&["/bin/busybox", "id", "-u"], LIMIT).await?;
    assert_eq!((output.code, output.stdout.as_str()), (0, "1000\n"), "{output:?}");
    service.remove().await
}

#[tokio::test]
async fn another_container_reaches_the_service_by_its_alias() -> Result<(), HarnessError> {
    let daemon = daemon().await?;
    let image = image(&daemon).await?;
    let network = daemon.create_network().await?;
    let options =
        RunOptions { attachment: Some(network.attachment(&["web"])), ..Default::default() };
    let service = image.start_ready(&options, &ReadyConditions::port(80).within(LIMIT)).await?;

    let client = RunOptions {
        attachment: Some(network.attachment(&[])),
        ..RunOptions::command(&["/bin/busybox", "wget", "-q", "-O", "-", "http://web/"])
    };
    let output = image.run(&client, LIMIT).await?;
    assert_eq!(output.stdout, "<p>It works.</p>\n", "{output:?}");
    service.remove().await?;
    network.remove().await
}
