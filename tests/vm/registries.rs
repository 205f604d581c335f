//! Images that go between registries, files and daemons: `seatrial copy` with `docker-daemon:`, and
//! engines that pull what `seatrial push` sent.

use std::process::{Command, Output};

use seatrial::vm::{Definition, Egress, Options};
use serde_json::Value;

use crate::arm64::extract_busybox;
use crate::service::{Registry, noise};
use crate::workbench::{GUEST, Workbench, run, stdout};

const RECIPE: &str = "name='copy/app'\ntag='1'\narchitecture='amd64'\ncontents='rootfs'\n";
/// The address of the host in a guest that may reach it.
const HOST: &str = "10.0.2.2";

/// Runs the program with the daemon of `bench`.
fn seatrial(bench: &Workbench, arguments: &[&str]) -> Output {
    let vm = bench.daemon.vm();
    let mut command = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    command.args(arguments).current_dir(bench.path("."));
    command.env("DOCKER_HOST", format!("tcp://localhost:{}", vm.port()));
    command.env("DOCKER_TLS_VERIFY", "1").env("DOCKER_CERT_PATH", vm.folder());
    run(&mut command)
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).unwrap()
}

fn copy(bench: &Workbench, from: &str, to: &str) -> Value {
    json(&seatrial(bench, &["copy", from, to, "--json"]))
}

/// An image goes from an archive into the daemon, out of it, and back.
async fn copies_between_daemon_and_files(engine: &str) {
    let bench = Workbench::on(engine).await;
    bench.build(RECIPE, "app.tar");
    let id = json(&seatrial(&bench, &["inspect", "app.tar", "--json"]))["id"].clone();
    let copied = copy(&bench, "docker-archive:app.tar", "docker-daemon:copy/app:1");
    assert_eq!(copied["id"], id, "{copied}");
    let shown = bench.guest("docker run --rm copy/app:1 /bin/echo hello").await;
    assert_eq!(shown, "hello\n");

    let layout = copy(&bench, "docker-daemon:copy/app:1", "oci:layout:one");
    let archive = copy(&bench, "docker-daemon:copy/app:1", "docker-archive:out.tar");
    assert_eq!(archive["id"], id, "{archive}");
    let mut skopeo = Command::new("skopeo");
    let config = ["inspect", "--config", "--raw", "oci:layout:one"];
    let config = stdout(&run(skopeo.args(config).current_dir(bench.path("."))));
    let mut sum = Command::new("sha256sum");
    std::fs::write(bench.path("config.json"), config).unwrap();
    let sum = stdout(&run(sum.arg(bench.path("config.json"))));
    assert_eq!(format!("sha256:{}", &sum[..64]), id, "{layout}");

    let again = copy(&bench, "oci:layout:one", "docker-daemon:copy/app:2");
    assert_eq!((&again["id"], &again["sent"]), (&id, &0.into()), "{again}");
    let inspected = seatrial(&bench, &["inspect", "docker-daemon:copy/app:2", "--json"]);
    assert_eq!(json(&inspected)["id"], id);
    let absent = seatrial(&bench, &["inspect", "docker-daemon:no/such:1"]);
    assert_eq!(absent.status.code(), Some(2));
    let message = String::from_utf8_lossy(&absent.stderr).into_owned();
    assert!(message.contains("the daemon has no image \"no/such:1\""), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_20_10_gives_and_takes_images() {
    copies_between_daemon_and_files("docker-20.10").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "for the nightly run"]
async fn docker_28_gives_and_takes_images() {
    copies_between_daemon_and_files("docker-28").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_goes_from_a_daemon_to_a_registry_and_back() {
    let (bench, registry) = (Workbench::new().await, Registry::start());
    bench.build(RECIPE, "app.tar");
    let image = copy(&bench, "app.tar", "docker-daemon:copy/app:1");
    let remote = format!("docker://{}", registry.name("from/daemon:1"));
    let pushed = copy(&bench, "docker-daemon:copy/app:1", &remote);
    assert_eq!(pushed["id"], image["id"], "{pushed}");
    bench.guest("docker rmi copy/app:1 >&2").await;
    let loaded = copy(&bench, &remote, "docker-daemon:copy/back:1");
    assert_eq!(loaded["id"], image["id"], "{loaded}");
    assert_eq!(bench.guest("docker run --rm copy/back:1 /bin/echo hello").await, "hello\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn load_and_check_take_images_of_a_registry() {
    let (bench, registry) = (Workbench::new().await, Registry::start());
    std::fs::write(bench.path("app.toml"), RECIPE).unwrap();
    let image = registry.name("app:1");
    stdout(&seatrial(&bench, &["push", "app.toml", &image]));
    let remote = format!("docker://{image}");
    let loaded = json(&seatrial(&bench, &["load", &remote, "--json"]));
    assert_eq!(loaded["reference"], image.as_str());
    let run = format!("docker run --rm {image} /bin/echo hello");
    assert_eq!(bench.guest(&run).await, "hello\n");

    let expectations = "[image]\narchitecture='amd64'\n[[run]]\nname='says hello'\n\
                        container={command=['/bin/echo', 'hello']}\nstdout=\"hello\\n\"\n";
    std::fs::write(bench.path("app.expect.toml"), expectations).unwrap();
    let check = ["check", &remote, "--expect", "app.expect.toml", "--json"];
    let fast = json(&seatrial(&bench, &[&check[..], &["--no-vm"]].concat()));
    assert!(fast["cases"].as_array().unwrap().iter().any(|case| case["outcome"] == "passed"));
    let full = json(&seatrial(&bench, &check));
    let hello = full["cases"]
        .as_array()
        .unwrap()
        .iter()
        .find(|case| case["name"].as_str().unwrap().contains("says hello"));
    assert_eq!(hello.unwrap()["outcome"], "passed", "{full}");
}

/// Pushes an image to a registry on this host; returns its name for the guest, and its digest.
fn pushed(bench: &Workbench, registry: &Registry) -> (String, String) {
    pushed_from(RECIPE, bench, registry)
}

fn pushed_from(recipe: &str, bench: &Workbench, registry: &Registry) -> (String, String) {
    std::fs::write(bench.path("rootfs/noise"), noise(200_000)).unwrap();
    std::fs::write(bench.path("app.toml"), recipe).unwrap();
    let image = registry.name("pulled/app:1");
    let printed = stdout(&seatrial(bench, &["push", "app.toml", &image]));
    let digest = printed.trim().split_once('@').unwrap().1.to_owned();
    let port = registry.address.port();
    (format!("{HOST}:{port}/pulled/app"), digest)
}

fn with_host() -> Options {
    Options { egress: Some(Egress::Host), ..Options::default() }
}

/// Pulls an image with Docker from a registry on this host.
///
/// Without TLS, Docker uses a registry on another host only if it is listed. It reads the list
/// again some time after the signal.
fn docker_pull(registry: &Registry, name: &str) -> String {
    format!(
        "old=$(cat /etc/docker/daemon.json 2>/dev/null || echo '{{}}'); \
         echo \"$old\" | sed 's|^{{|{{\"insecure-registries\": [\"{HOST}:{port}\"], |; s|, }}|}}|' \
             >/etc/docker/daemon.json; \
         systemctl reload docker; \
         for attempt in $(seq 200); do \
             docker info 2>/dev/null | grep -q '{HOST}:{port}' && break; sleep 0.1; \
         done; \
         docker pull {name}:1 >&2; ",
        port = registry.address.port()
    )
}

/// A script that pulls the image `name` in `guest`, prints its digest, and runs it.
fn pull_script(guest: &str, registry: &Registry, name: &str) -> String {
    match guest.split('-').next() {
        Some("docker") => {
            docker_pull(registry, name)
                + &format!(
                    "docker inspect -f '{{{{index .RepoDigests 0}}}}' {name}:1 | sed 's/.*@//'; \
                     docker run --rm {name}:1 /bin/echo hello"
                )
        }
        Some("podman") => format!(
            "podman pull --tls-verify=false {name}:1 >&2; \
             podman inspect -f '{{{{.Digest}}}}' {name}:1; \
             podman run --rm {name}:1 /bin/echo hello"
        ),
        // The images of Kubernetes.
        _ => format!(
            "ctr='ctr -n k8s.io'; $ctr images pull --plain-http {name}:1 >&2; \
             $ctr images ls name=={name}:1 | awk 'NR == 2 {{ print $3 }}'; \
             $ctr run --rm {name}:1 pulled /bin/echo hello"
        ),
    }
}

/// An engine pulls what was pushed, under the same digest, and runs it.
async fn pulls_what_was_pushed(guest: &str) {
    let (bench, registry) = (Workbench::on_with(guest, with_host()).await, Registry::start());
    let (name, digest) = pushed(&bench, &registry);
    let printed = bench.guest(&pull_script(guest, &registry, &name)).await;
    assert_eq!(printed, format!("{digest}\nhello\n"), "{guest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_pulls_what_was_pushed() {
    pulls_what_was_pushed(GUEST).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "for the nightly run"]
async fn podman_pulls_what_was_pushed() {
    pulls_what_was_pushed("podman-5.4").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "for the nightly run"]
async fn containerd_pulls_what_was_pushed() {
    pulls_what_was_pushed("containerd-1.7").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; for the nightly run"]
async fn an_engine_on_arm64_pulls_what_was_pushed() {
    let guest = "docker-28-arm64";
    let (bench, registry) = (Workbench::on_with(guest, with_host()).await, Registry::start());
    std::fs::remove_file(bench.path("rootfs/bin/busybox")).unwrap();
    extract_busybox(&bench.path("rootfs"));
    let recipe = RECIPE.replace("amd64", "arm64");
    let (name, digest) = pushed_from(&recipe, &bench, &registry);
    let printed = bench.guest(&pull_script(guest, &registry, &name)).await;
    assert_eq!(printed, format!("{digest}\nhello\n"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; for the nightly run"]
async fn every_engine_pulls_what_was_pushed() {
    for guest in Definition::names() {
        pulls_what_was_pushed(guest).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_containerd_store_gives_an_image_with_its_digest() {
    let bench = Workbench::on_with("docker-28-containerd", with_host()).await;
    let registry = Registry::start();
    let (name, digest) = pushed(&bench, &registry);
    bench.guest(&docker_pull(&registry, &name)).await;
    let stored = format!("docker-daemon:{name}:1");
    let layout = copy(&bench, &stored, "oci:layout:one");
    assert_eq!(layout["digest"], digest.as_str(), "{layout}");
    let remote = format!("docker://{}", registry.name("from/containerd:1"));
    let pushed = copy(&bench, &stored, &remote);
    assert_eq!(pushed["digest"], digest.as_str(), "{pushed}");
    // Of another repository of the registry, or there already.
    assert_eq!(pushed["sent"], 0, "{pushed}");
}
