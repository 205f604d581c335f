//! Services whose image has a health check, or should have one.

use crate::each_engine::on_each_engine;
use crate::sample_image::{RECIPE, SampleImage, outcomes};
use crate::verdicts::{case, mismatches};

/// The image's health check fails until there is a file.
const HEALTH: &str = r#"
[[service]]
name = "gets well"
ready.healthy = true
exec = [{ command = ["/bin/cat", "/well"], stdout = "well\n" }]
container = { user = "0", shell = "sleep 3; echo well >/well; exec sleep 999" }
[[service]]
name = "stays sick"
ready = { healthy = true, timeout = 15 }
container.shell = "exec sleep 999"
"#;

#[test]
fn an_unhealthy_service_fails_with_what_its_check_printed_on_each_engine() {
    on_each_engine(&["docker-20.10"], awaits_the_health_check);
}

fn awaits_the_health_check(engine: &str) {
    let sample = SampleImage::new();
    let command = "cat /well || { echo sick; exit 1; }";
    let times = "Interval = 1000000000, Retries = 1";
    let check = format!(r#"{{ Test = ["CMD", "/bin/sh", "-c", "{command}"], {times} }}"#);
    let recipe = RECIPE.replace(r#"{ Test = ["CMD", "/bin/true"] }"#, &check);
    std::fs::write(sample.path("app.toml"), recipe).unwrap();
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    let (_, verdict) = sample.check(HEALTH, &["--engine", engine]);
    if !engine.starts_with("docker") {
        for name in ["service gets well", "service stays sick"] {
            let case = case(&verdict, name);
            let reason = case["reason"].as_str().unwrap_or_else(|| panic!("{case:#}"));
            assert!(reason.contains("health check"), "{case:#}");
        }
        return;
    }
    assert_eq!(case(&verdict, "service gets well")["outcome"], "passed", "{verdict:#}");
    let sick = mismatches(&verdict, "service stays sick");
    assert_eq!(sick, ["service: health status \"unhealthy\""], "{verdict:#}");
    let hint = &case(&verdict, "service stays sick")["hints"][0];
    let start = "the health check last exited with code 1 and printed ";
    let hint = hint.as_str().unwrap();
    assert!(hint.starts_with(start) && hint.contains("sick"), "{hint}");
}

#[test]
#[ignore = "for the nightly run"]
fn a_service_whose_image_has_no_health_check_fails_before_its_timeout_on_each_engine() {
    on_each_engine(&["docker-20.10"], fails_without_a_health_check);
}

fn fails_without_a_health_check(engine: &str) {
    let sample = SampleImage::new();
    let recipe = RECIPE.lines().filter(|line| !line.starts_with("Healthcheck"));
    std::fs::write(sample.path("app.toml"), recipe.collect::<Vec<_>>().join("\n")).unwrap();
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    // If it waited, the test would not end.
    let text = "[[service]]\nname = 'unchecked'\ncontainer = { shell = 'sleep 9999' }\n\
                ready = { healthy = true, timeout = 9000 }\n";
    let (_, verdict) = sample.check(text, &["--engine", engine]);
    let (outcome, part) = if engine.starts_with("docker") {
        ("failed", "an image without a health check")
    } else {
        ("skipped", "health check")
    };
    assert!(outcomes(&verdict).contains(&("service unchecked", outcome)), "{verdict:#}");
    assert!(verdict.to_string().contains(part), "{verdict:#}");
}
