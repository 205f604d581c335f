//! nixpkgs' examples of dockerTools on a real engine, with programs of Debian (`examples.nix`).

use seatrial::conditions::{HttpExpectations, ReadyConditions, Text};
use seatrial::engine::RunOptions;
use seatrial::harness::HarnessError;
use tokio::process::Command;

use crate::engine::{TIMEOUT, Trial, output_of};
use crate::nix::{built, evaluated, nix_output, store_path};

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_nixpkgs_work_on_docker() {
    let mut trial = Trial::start().await;
    let references = evaluated("examples.references");
    Box::pin(nginx(&mut trial, references["nginx"].as_str().unwrap())).await;
    Box::pin(redis(&mut trial)).await;
    Box::pin(editors(&mut trial)).await;
    Box::pin(nix(&mut trial)).await;
    for (name, images) in [
        ("mergedBashAndRedis", ["bash", "redis"]),
        ("mergedBashNoTagAndRedis", ["bashNoTag", "redis"]),
        ("mergedBashFakeRoot", ["bash", "layeredImageWithFakeRootCommands"]),
    ] {
        let images = images.map(|image| (image, references[image].as_str().unwrap()));
        Box::pin(merged(&mut trial, name, &images)).await;
    }
    trial.end();
}

async fn nginx(trial: &mut Trial, reference: &str) {
    let title = "<h1>Hello from NGINX</h1>";
    let http = HttpExpectations {
        port: 80,
        body: Some(Text::containing(title)),
        ..HttpExpectations::default()
    };
    let ready = ReadyConditions { http: Some(http), ..ReadyConditions::default() };
    let served = async {
        let image = trial.load("examples.nginx").await;
        let exposed = image.inspect().await?.exposed_ports;
        let container = image.start_ready(&RunOptions::service(), &ready).await?;
        let port = container.forward(80).await?;
        let url = format!("http://{}/", port.address());
        let page = Command::new("curl").args(["-sS", "-m", "30", &url]).output().await.unwrap();
        container.wait_until_ready(&ReadyConditions::log("\"GET / HTTP/1.1\" 200")).await?;
        container.remove().await?;
        Ok::<_, HarnessError>((exposed, page))
    };
    match Box::pin(served).await {
        Ok((exposed, page)) => {
            trial.check("nginx exposes its port", exposed == ["80/tcp"], &exposed.join(" "));
            let text = String::from_utf8_lossy(&page.stdout);
            trial.check(
                "nginx sends a page to this host, and logs requests",
                text.contains(title),
                &text,
            );
        }
        Err(error) => {
            trial.check("nginx serves a page and logs the request", false, &error.to_string())
        }
    }
    let script = format!(
        "docker run --name nginx -d -p 8000:80 {reference} >/dev/null; \
         until busybox wget -q -O - http://127.0.0.1:8000/; do sleep 0.1; done; \
         docker rm --force nginx >/dev/null"
    );
    let page = trial.guest("nginx answers at a published port", &script).await;
    trial.check("the published port is that of nginx", page.contains(title), &page);
}

async fn redis(trial: &mut Trial) {
    let answered = async {
        let image = trial.load("examples.redis").await;
        let ready = ReadyConditions { healthy: Some(true), ..ReadyConditions::default() };
        let container = image.start_ready(&RunOptions::service(), &ready).await?;
        let script = "redis-cli set key value; redis-cli get key; redis-cli save; \
                      [ -s /data/dump.rdb ] && echo saved";
        let output = container.exec(&["/bin/sh", "-c", script], TIMEOUT).await?;
        container.remove().await?;
        Ok::<_, HarnessError>(output.stdout)
    };
    match Box::pin(answered).await {
        Ok(output) => {
            let expected = "OK\nvalue\nOK\nsaved\n";
            trial.check("redis keeps values in its volume", output == expected, &output);
        }
        Err(error) => trial.check("redis is healthy", false, &error.to_string()),
    }
}

async fn editors(trial: &mut Trial) {
    let script = "vim.tiny --version && nano --version && ls --version";
    let options = RunOptions::command(&["/bin/bash", "-c", script]);
    let output =
        Box::pin(async { output_of(&trial.load("examples.editors").await, &options).await });
    let output = output.await;
    let names = ["VIM - Vi IMproved", "GNU nano, version", "ls (GNU coreutils)"];
    let all = names.iter().all(|name| output.contains(name));
    trial.check("several programs in one image", all, &output);
}

/// Nix in containers, on the database and store of its own image.
async fn nix(trial: &mut Trial) {
    let path = store_path("examples.nixProgram");
    let closure = nix_output(&["nix-store", "--query", "--requisites", &path]);
    let mut closure: Vec<&str> = closure.lines().collect();
    closure.sort_unstable();
    let closure = format!("nix\n{}", closure.join("\n"));
    let list = format!("readlink {path}/bin/nix-daemon; nix-store -qR {path} | LC_ALL=C sort");
    let command = ["/bin/bash", "-c", &list];
    let subtest = "symlinks of Nix are intact, and the database has its closure";
    trial.prints(subtest, "examples.nix", &command, &closure).await;
    let verify = "NIX_CONFIG='build-users-group =' nix-store --verify --check-contents 2>&1";
    let command = ["/bin/bash", "-c", &format!("{list}; {verify}; myscript")];
    let expected = format!(
        "{closure}\nreading the Nix store...\nchecking path existence...\n\
         checking link hashes...\nchecking store hashes...\nsome data"
    );
    let subtest = "the same layered, Nix finds all contents unchanged, and a script finds its file";
    trial.prints(subtest, "examples.filesInStore", &command, &expected).await;
}

/// All images of the archive are loaded, and programs of each run.
async fn merged(trial: &mut Trial, name: &str, images: &[(&str, &str)]) {
    let path = trial.folder.path().join(name);
    std::fs::copy(built(&format!("examples.{name}")), &path).unwrap();
    for (image, reference) in images {
        let (command, part): (&[&str], _) = match *image {
            "redis" => (&["/bin/redis-cli", "--version"], "redis-cli "),
            "layeredImageWithFakeRootCommands" => (&["/bin/stat", "-c%u", "/home/jane"], "1000\n"),
            _ => (&["/bin/bash", "--version"], "GNU bash, version"),
        };
        let options = RunOptions::command(command);
        let run = async {
            let image = trial.daemon.load_archive(&path, reference).await;
            output_of(&image.unwrap_or_else(|e| panic!("{name}: {e}")), &options).await
        };
        let found = Box::pin(run).await;
        let subtest = format!("{name} has {reference}");
        trial.check(&subtest, found.starts_with(part), &found);
    }
}
