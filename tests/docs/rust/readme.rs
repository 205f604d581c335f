//! The example of the README. It needs an image that does not exist.
#![allow(clippy::print_stdout)]

use std::time::Duration;

use seatrial::conditions::ReadyConditions;
use seatrial::engine::RunOptions;
use seatrial::harness::{Daemon, HarnessError};

#[tokio::test]
#[ignore = "has no image"]
async fn the_app_answers() -> Result<(), HarnessError> {
    let daemon = Daemon::shared("docker-28", Default::default()).await?; // one VM for all tests
    let image = daemon.load_archive("app.tar".as_ref(), "my/app:1.0").await?; // or load_recipe
    image.assert_env(&["LAST_LAYER=child"]).await?; // in the config and in a running container
    let ready = ReadyConditions::http(8080, "/health");
    let app = image.start_ready(&RunOptions::service(), &ready).await?;
    let port = app.forward(8080).await?; // on this host, until `port` is dropped
    println!("http://{}/", port.address());
    let output = app.exec(&["/bin/app", "--version"], Duration::from_secs(60)).await?;
    assert_eq!(output.stdout, "app 1.0\n");
    app.remove().await
}
