//! `seatrial expect --engine`: expectations drafted from what a container does.

use std::path::Path;
use std::process::Command;

use seatrial::archive::ImageSelector;
use seatrial::check::ImageUnderTest;

use crate::each_engine::{engines, on_each_engine};
use crate::sample_image::{RECIPE, SampleImage, outcomes};
use crate::workbench::Workbench;

#[test]
fn what_a_command_prints_is_drafted_and_the_image_meets_the_draft_on_each_engine() {
    on_each_engine(&["docker-20.10"], drafts_what_a_command_prints);
}

fn drafts_what_a_command_prints(engine: &str) {
    let sample = SampleImage::new();
    let draft = sample.seatrial(&["expect", "app.tar", "--engine", engine]);
    let draft = String::from_utf8(draft.stdout).unwrap();
    let run = "container = { network = true }\nexit_code = 0\nstdout = \"\"\"\nhello\n\"\"\"\n";
    assert!(draft.contains(run), "{draft}");
    let (output, verdict) = sample.check(&draft, &["--engine", engine]);
    assert!(output.status.success(), "{draft}\n{verdict:#}");
    assert!(outcomes(&verdict).contains(&("run image's command", "passed")), "{verdict:#}");
}

/// A service of datagrams that needs no capability: busybox has one for DHCP alone, which needs
/// NET_RAW, and Podman's containers do not have that.
const DATAGRAMS: &str = r#"
#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
int main(void) {
    signal(SIGTERM, exit);
    char datagram[1500];
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(67) };
    int receiver = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(receiver, (struct sockaddr *)&address, sizeof address) != 0) return 1;
    while (recv(receiver, datagram, sizeof datagram, 0) >= 0) {}
    return 2;
}
"#;

/// Compiles `source`, written in C, to the static program `program`.
fn compile(source: &str, program: &Path) {
    let file = program.with_extension("c");
    std::fs::write(&file, source).unwrap();
    let mut compiler = Command::new("cc");
    let status = compiler.arg("-static").arg("-o").arg(program).arg(&file).status().unwrap();
    assert!(status.success());
    std::fs::remove_file(file).unwrap();
}

#[test]
#[ignore = "for the nightly run"]
fn a_service_of_datagrams_is_drafted_with_its_udp_port_on_each_engine() {
    on_each_engine(&["docker-20.10"], drafts_a_service_of_datagrams);
}

fn drafts_a_service_of_datagrams(engine: &str) {
    let sample = SampleImage::new();
    let recipe = std::fs::read_to_string(sample.path("app.toml")).unwrap();
    let recipe = recipe.replace("echo hello", "exec /bin/datagrams");
    let recipe = recipe.replace("User = \"7:8\"", "User = \"0\"").replace("80/tcp", "67/udp");
    std::fs::write(sample.path("datagrams.toml"), recipe).unwrap();
    compile(DATAGRAMS, &sample.path("rootfs/bin/datagrams"));
    sample.seatrial(&["build", "datagrams.toml", "-o", "datagrams.tar"]);
    let draft = sample.seatrial(&["expect", "datagrams.tar", "--engine", engine]);
    let draft = String::from_utf8(draft.stdout).unwrap();
    assert!(draft.contains("\nready = { port = \"67/udp\" }\nstop = "), "{draft}");
}

#[tokio::test]
async fn a_service_is_drafted_with_its_port_its_answer_and_its_end_on_each_engine() {
    for engine in engines(&["docker-20.10"]) {
        drafts_a_service(&engine).await;
    }
}

async fn drafts_a_service(engine: &str) {
    let sample = SampleImage::new();
    let recipe = std::fs::read_to_string(sample.path("app.toml")).unwrap();
    let command = "trap 'exit 5' TERM; httpd -p 80 -h /www; while :; do sleep 0.2; done";
    let recipe = recipe.replace("echo hello", command).replace("User = \"7:8\"", "User = \"0\"");
    std::fs::write(sample.path("web.toml"), recipe).unwrap();
    sample.seatrial(&["build", "web.toml", "-o", "web.tar"]);
    let image = ImageUnderTest::open(&sample.path("web.tar"), &ImageSelector::default(), 2);
    let image = image.unwrap();
    let bench = Workbench::on(engine).await;
    let behavior = image.observe(&bench.daemon, engine).await.unwrap();
    let draft = image.draft(Some(&behavior)).unwrap();
    let service = "[[service]]\nname = \"image's command\"\nready = { port = 80 }\n\
                   http = [{ port = 80, path = \"/\", status = 200 }]\n\
                   stop = { timeout = 10, exit_code = 5 }\n";
    assert!(draft.contains(service), "{draft}");
}

#[test]
fn without_an_engine_the_service_is_guessed_at_the_port_most_likely_to_speak_http() {
    let sample = SampleImage::new();
    for (ports, drafted) in [
        (r#""443/tcp" = {}, "8080/tcp" = {}, "80/tcp" = {}"#, "80, path"),
        (r#""443/tcp" = {}, "8000/tcp" = {}, "53/udp" = {}"#, "8000, path"),
        (r#""22/tcp" = {}, "3000" = {}"#, "3000, path"),
        (r#""9000" = {}, "443" = {}"#, "9000, path"),
        (r#""8443" = {}, "443" = {}"#, "443, tls = { verify = false }, path"),
    ] {
        let recipe = RECIPE.replace(r#""80/tcp" = {}"#, ports);
        std::fs::write(sample.path("app.toml"), recipe).unwrap();
        sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
        let draft = sample.seatrial(&["expect", "app.tar"]);
        let draft = String::from_utf8(draft.stdout).unwrap();
        assert!(draft.contains(&format!("# http = [{{ port = {drafted} = \"/\"")), "{draft}");
    }
}
