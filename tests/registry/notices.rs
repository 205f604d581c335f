//! Notes about long pauses that registries ask for.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::lab::Lab;
use crate::server::{Reply, Server};
use crate::service::{Registry, command, recipe, seatrial};

/// Runs the program until it prints a line on standard error, which is returned.
fn first_line(lab: &Lab, arguments: &[&str]) -> String {
    let mut command = command(lab, arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    line
}

/// An answer that asks for a pause of ten minutes.
fn busy() -> Reply {
    Reply::new(429, &[("Retry-After", "600")], "")
}

#[test]
fn a_long_pause_is_announced_with_the_server_that_asks_for_it() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let next = "the next attempt is in 60 s\n";
    for part in ["/v2/", "/manifests/", "/uploads/"] {
        let server = Server::before(registry.address, move |request| {
            let path = request.target.split('?').next().unwrap();
            let matches = if part == "/v2/" { path == part } else { path.contains(part) };
            matches.then(busy)
        });
        let image = format!("{}/my/app:1", server.address);
        let expected = format!("note: the registry {} answers 429; {next}", server.address);
        assert_eq!(first_line(&lab, &["push", "app.toml", &image]), expected, "{part}");
    }
    let server = Server::start(|request| {
        if request.target.starts_with("/token") {
            return busy();
        }
        let host = request.header("host").unwrap();
        let challenge = format!("Bearer realm=\"http://{host}/token\"");
        Reply::new(401, &[("WWW-Authenticate", &challenge)], "")
    });
    let image = format!("docker://{}/my/app:1", server.address);
    let expected = format!("note: the token server 127.0.0.1 answers 429; {next}");
    assert_eq!(first_line(&lab, &["inspect", &image]), expected);
    // A token server that sends clients to another one.
    let busy_server = Server::start(|_| busy());
    let location = format!("http://localhost:{}/token", busy_server.address.port());
    let server = Server::start(move |request| {
        if request.target.starts_with("/token") {
            return Reply::new(307, &[("Location", &location)], "");
        }
        let host = request.header("host").unwrap();
        let challenge = format!("Bearer realm=\"http://{host}/token\"");
        Reply::new(401, &[("WWW-Authenticate", &challenge)], "")
    });
    let image = format!("docker://{}/my/app:1", server.address);
    let expected = format!("note: the token server localhost answers 429; {next}");
    assert_eq!(first_line(&lab, &["inspect", &image]), expected);
}

#[test]
fn a_short_pause_is_not_announced() {
    let server = Server::start(|_| Reply::new(503, &[("Retry-After", "0")], ""));
    let run = seatrial(&Lab::new(), ["inspect", &format!("docker://{}/app:1", server.address)]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    assert!(!run.stderr().contains("note: "), "{}", run.stderr());
}

#[test]
fn quiet_leaves_out_notes_about_the_image() {
    let (lab, registry) = (Lab::new(), Registry::start());
    lab.file("base/srv/keep", "");
    lab.build_with("name='base'\ntag='1'\ncontents='base'\n", "base.tar", &[]);
    lab.file("tree/srv/file", "");
    let recipe = "name='x'\ntag='1'\nfrom_image='base.tar'\ncontents='tree'\nuid=1000\ngid=1000\n";
    lab.file("recipe.toml", recipe);
    let image = registry.name("x:1");
    let run = seatrial(&lab, ["push", "recipe.toml", &image]);
    assert!(run.stderr().contains("note: uid 1000 and gid 1000 do not"), "{}", run.stderr());
    run.ok();
    let run = seatrial(&lab, ["push", "--quiet", "recipe.toml", &image]);
    assert_eq!(run.stderr(), "");
    run.ok();
}

#[test]
fn quiet_leaves_out_summaries_and_a_pull_names_what_it_writes() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let image = registry.name("my/app:1");
    let run = seatrial(&lab, ["push", "app.toml", &image]);
    assert!(!run.stderr().contains("1 blobs"), "{}", run.stderr());
    let pushed = run.ok();
    let source = format!("docker://{image}");
    let copy = format!("docker://{}", registry.name("my/copy:1"));
    for arguments in [
        ["pull", &image, "-o", "a.tar", "--quiet"],
        ["copy", &source, "docker-archive:b.tar:app:1", "--quiet", "--no-cache"],
        ["copy", &source, &copy, "--quiet", "--no-cache"],
    ] {
        let run = seatrial(&lab, arguments);
        assert_eq!(run.stderr(), "", "{arguments:?}");
        assert_eq!(run.ok(), "", "{arguments:?}");
    }
    assert!(lab.exists("a.tar") && lab.exists("b.tar"));
    // A second copy has no layer to send.
    let again = seatrial(&lab, ["copy", &source, &copy]).ok();
    assert!(!again.contains("0 copied ("), "{again}");
    let summary = seatrial(&lab, ["pull", pushed.trim(), "-o", "c.tar"]).ok();
    let inspected = seatrial(&lab, ["inspect", "c.tar"]).ok();
    let line = inspected.lines().find(|line| line.starts_with("  reference ")).unwrap();
    assert!(summary.contains(line), "{summary}{inspected}");
}
