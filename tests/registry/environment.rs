//! Proxies, full disks, and registries that stop answering in the middle.

use std::process::Command;

use crate::lab::{Lab, Run};
use crate::server::{Reply, Server, forward};
use crate::service::{Registry, command, recipe, seatrial};

#[test]
fn the_usual_variables_name_a_proxy() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    seatrial(&lab, ["push", "app.toml", &registry.name("my/app:1")]).ok();
    let upstream = registry.address;
    // A proxy gets the whole address (RFC 9112, section 3.2.2).
    let proxy = Server::start(move |request| {
        // TLS is tried first, through a tunnel.
        if request.method == "CONNECT" {
            return Reply::new(403, &[], "");
        }
        let mut request = request.clone();
        let path = request.target.strip_prefix("http://registry.test:5000");
        request.target = path.expect("a proxy is asked for an address").to_owned();
        forward(upstream, &request)
    });
    let pull = |variables: &[(&str, &str)]| {
        let image = "registry.test:5000/my/app:1";
        let mut command = command(&lab, ["pull", image, "-o", "x.tar", "--plain-http"]);
        command.envs(variables.iter().copied()).arg("--no-cache");
        Run::of(command)
    };
    let address = format!("http://{}", proxy.address);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        let before = proxy.requests().len();
        pull(&[(name, &address)]).ok();
        assert!(proxy.requests().len() > before, "{name}");
    }
    let before = proxy.requests().len();
    for name in ["no_proxy", "NO_PROXY"] {
        let run = pull(&[("http_proxy", &address), (name, "registry.test")]);
        assert_eq!(run.output.status.code(), Some(3), "there is no such host: {}", run.stderr());
    }
    assert_eq!(proxy.requests().len(), before);
    // The loopback interface is not behind a proxy.
    let mut direct = command(&lab, ["pull", &registry.name("my/app:1"), "-o", "y.tar"]);
    direct.env("http_proxy", &address);
    Run::of(direct).ok();
    assert_eq!(proxy.requests().len(), before);
}

/// Runs the program with a cache on a disk of 256 KiB.
fn on_full_disk(lab: &Lab, arguments: &[&str]) -> Run {
    let cache = lab.cache_path("small");
    std::fs::create_dir_all(&cache).unwrap();
    let seatrial = command(lab, arguments);
    let script = "mount -t tmpfs -o size=256k,mode=700 none \"$XDG_CACHE_HOME\" && exec \"$@\"";
    let mut shell = Command::new("unshare");
    shell.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    shell.arg(seatrial.get_program()).args(seatrial.get_args()).current_dir(lab.path(""));
    shell.env("XDG_CACHE_HOME", &cache).env("HOME", lab.path("home"));
    Run::of(shell)
}

#[test]
fn a_full_disk_below_the_cache_is_an_environment_failure() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let image = registry.name("my/app:1");
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    let run = on_full_disk(&lab, &["pull", &image, "-o", "x.tar"]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    assert!(run.stderr().contains("to the cache; make room there"), "{}", run.stderr());
    assert!(run.stderr().contains("--no-cache"), "{}", run.stderr());
    assert!(run.stderr().contains("No space left on device"), "{}", run.stderr());
    assert!(!lab.exists("x.tar"));
    on_full_disk(&lab, &["pull", &image, "-o", "x.tar", "--no-cache"]).ok();

    let writes = registry.count("PUT", "/manifests/");
    let run = on_full_disk(&lab, &["push", "app.toml", &registry.name("other/app:1")]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    assert!(run.stderr().contains("to the cache; make room there"), "{}", run.stderr());
    assert!(run.stderr().contains("No space left on device"), "{}", run.stderr());
    assert_eq!(registry.count("PUT", "/manifests/"), writes, "nothing is tagged");
}

#[test]
fn a_registry_that_stops_answering_during_a_push_ends_it_and_nothing_is_tagged() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    for (method, part) in [("HEAD", "/blobs/"), ("POST", "/uploads/"), ("PUT", "/uploads/")] {
        let silent = Server::before(registry.address, move |request| {
            let matches = request.method == method && request.target.contains(part);
            matches.then_some(Reply::Silence)
        });
        let image = format!("{}/my/app:1", silent.address);
        let run = seatrial(&lab, ["push", "app.toml", &image, "--registry-timeout", "1"]);
        assert_eq!(run.output.status.code(), Some(3), "{method}: {}", run.stderr());
        assert!(run.stderr().contains("did not answer for 1 s"), "{method}: {}", run.stderr());
        assert!(run.stderr().contains("--registry-timeout"), "{}", run.stderr());
        assert_eq!(silent.count("PUT", "/manifests/"), 0);
    }
}
