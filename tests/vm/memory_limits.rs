//! Containers that reach their memory limit.

use serde_json::Value;

use crate::each_engine::on_each_engine;
use crate::sample_image::SampleImage;
use crate::verdicts::{case, mismatches, without_durations};

/// dd touches all of its buffer, which is twice as large as the limit.
const EXPECTATIONS: &str = r#"
[[run]]
name = "command"
[run.container]
memory_mib = 32
entrypoint = ["/bin/busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]
command = []
[[run]]
name = "child"
[run.container]
memory_mib = 32
shell = "/bin/busybox dd if=/dev/zero of=/dev/null bs=64M count=1; exit 3"
[[run]]
name = "signal"
[run.container]
memory_mib = 32
shell = "sh -c 'kill -9 $$'; exit $?"
[[run]]
name = "setup"
setup = [["/bin/busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]]
[run.container]
memory_mib = 32
shell = "true"
[[service]]
name = "service"
ready.log = "never printed"
[service.container]
memory_mib = 32
entrypoint = ["/bin/busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]
command = []
"#;

fn names_the_memory_limit(engine: &str) {
    let sample = SampleImage::new();
    let (_, verdict) = sample.check(EXPECTATIONS, &["--engine", engine]);
    let hints = |name: &str| -> Vec<&str> {
        let hints = case(&verdict, name)["hints"].as_array().map(Vec::as_slice).unwrap_or_default();
        hints.iter().filter_map(Value::as_str).collect()
    };
    let limit = "the container reached its memory limit of 32 MiB (memory_mib)";
    let command = mismatches(&verdict, "run command");
    assert_eq!(command, ["exit code: 137 (killed because memory was exhausted)"]);
    assert_eq!(hints("run command"), [limit]);
    let child = mismatches(&verdict, "run child");
    let killed = "exit code: 3 (one of its processes was killed because memory was exhausted)";
    assert!(child[0].starts_with(killed), "{child:?}");
    assert_eq!(hints("run child"), [limit]);
    let setup = mismatches(&verdict, "run setup");
    let killed = "137 (killed because memory was exhausted)";
    assert!(setup[0].starts_with("setup command 1, [\"/bin/busybox\", \"dd\""), "{setup:?}");
    assert!(setup[0].contains(killed), "{setup:?}");
    assert_eq!(hints("run setup"), [limit]);
    let service = without_durations(&mismatches(&verdict, "service service"));
    let killed = "service: its command ended with exit code 137 (killed because memory was \
                  exhausted) after N s";
    assert!(service.starts_with(killed), "{service}");
    assert_eq!(hints("service service"), [limit]);
    // SIGKILL alone says nothing about memory.
    let signal = mismatches(&verdict, "run signal");
    assert!(
        signal[0].starts_with("exit code: 137 (probably ended by signal 9, SIGKILL)"),
        "{signal:?}"
    );
    assert_eq!(hints("run signal"), [""; 0]);
}

#[test]
fn the_memory_limit_that_a_container_reached_is_named_on_each_engine() {
    on_each_engine(&["containerd-1.7"], names_the_memory_limit);
}
