//! Text that others chose is escaped in reports of checks, and in messages of daemons.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::terminal::{HOSTILE, archive, assert_safe, fails, hostile_config, safe, toml_string};

#[test]
fn checks_escape_values_on_the_terminal_and_in_all_reports() {
    let lab = Lab::new();
    archive(&lab, "a.tar", json!([format!("a:{HOSTILE}")]), HOSTILE, hostile_config);
    let toml = toml_string(HOSTILE);
    let expectations = format!(
        "[image]\nuser = {toml}\nworking_dir = 'x'\ncmd = ['x']\nlabels = {{ {toml} = 'x' }}\n\
         [env]\nhas = {{ A = 'x', {toml} = 'y' }}\n\
         [[file]]\npath = {path}\nmode = '0644'\n[file.content]\ncontains = {toml}\n\
         [[run]]\nname = {toml}\ncontainer = {{ command = ['x'] }}\n",
        path = toml_string(&format!("/{HOSTILE}"))
    );
    lab.file("e.toml", expectations);
    let reports = ["junit=r.xml", "html=r.html", "json=r.json", "jsonl=r.jsonl"];
    let reports = reports.iter().flat_map(|report| ["--report", report]);
    let check = ["check", "a.tar", "--expect", "e.toml", "--no-vm"];
    let run = safe(lab.seatrial(check.into_iter().chain(reports)));
    assert_eq!(run.output.status.code(), Some(1), "{}", run.stderr());
    for report in ["r.xml", "r.html", "r.json", "r.jsonl"] {
        assert_safe(&std::fs::read(lab.path(report)).unwrap());
    }
    let verdict = safe(lab.seatrial(check.into_iter().chain(["--json"]))).stdout();
    let verdict: Value = serde_json::from_str(&verdict).unwrap();
    assert_eq!(verdict["cases"][0]["image"], format!("a:{HOSTILE}"), "the exact value");

    let invalid = [
        format!("{toml} = 1\n"),
        format!("[image]\n{toml} = 1\n"),
        format!("[[file]]\npath = '/x'\nkind = {toml}\n"),
        format!("[env]\nmatches = {{ A = {} }}\n", toml_string(&format!("({HOSTILE}"))),
    ];
    let path = format!("{HOSTILE}.toml");
    for expectations in invalid {
        lab.file(&path, expectations);
        fails(lab.seatrial(["check", "a.tar", "--no-vm", "--expect", &path]));
    }
    let report = format!("html=no/{HOSTILE}");
    fails(lab.seatrial(check.into_iter().chain(["--report", &report])));
    fails(lab.seatrial(["check", "a.tar", "--expect", "e.toml", "--engine", HOSTILE]));
}

#[test]
fn messages_of_a_daemon_and_its_address_are_escaped() {
    let lab = Lab::new();
    archive(&lab, "a.tar", json!([format!("a:{HOSTILE}")]), "f", |_| ());
    archive(&lab, "b.tar", json!(["b:1"]), "f", |_| ());
    fails(lab.seatrial(["load", "a.tar", "--host", "unix:///nowhere"]));
    for host in [HOSTILE, &format!("unix:///{HOSTILE}"), &format!("tcp://{HOSTILE}")] {
        fails(lab.seatrial(["load", "b.tar", "--host", host]));
    }
    safe(lab.seatrial(["load", "b.tar", "--reference", HOSTILE]));
    safe(lab.seatrial(["replay", HOSTILE]));
    safe(lab.seatrial(["vm", "up", HOSTILE]));
    safe(lab.seatrial(["vm", "down", HOSTILE]));

    // A daemon that answers everything with an error.
    let listener = UnixListener::bind(lab.path("socket")).unwrap();
    let host = format!("unix://{}", lab.path("socket").display());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let body = json!({ "message": HOSTILE.repeat(10_000) }).to_string();
            let length = body.len();
            let head = "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n\
                        Content-Type: application/json\r\n";
            let _ = write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}");
        }
    });
    let message = fails(lab.seatrial(["load", "b.tar", "--host", &host]));
    assert!(message.contains(r"e\u{1b}[2K\u{1b}[1G\n\r\tfine"), "{message}");
}
