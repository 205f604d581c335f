//! Services that end, services that answer in many ways, and containers that cannot start.

use crate::each_engine::{is_cri, on_each_engine};
use crate::sample_image::{RECIPE, SampleImage};
use crate::service_ends::{ENDS, check_ends};
use crate::verdicts::{case, mismatches, without_durations};

const SERVICES: &str = r#"
[env]
has = { PATH = "/bin", LINES = "one\nTWO=2\n", EMPTY = "", EQUAL = "=a=b" }
absent = ["TWO"]
[[service]]
name = "crash while its port is awaited"
container = { shell = "echo starting; sleep 3; echo 'FATAL: no database' >&2; exit 4" }
ready = { port = 8080, timeout = 300 }
[[service]]
name = "ready and gone"
container = { shell = "echo ready; exit 0" }
ready = { log = "ready" }
stop = { exit_code = 0 }
[[service]]
name = "gone without conditions"
container = { shell = "exit 7" }
ready = {}
[[service]]
name = "killed by a signal"
container = { shell = "sh -c 'kill -9 $$'; exit $?" }
ready = {}
[[service]]
name = "ends as expected"
container = { shell = "echo ready; exit 6" }
ready = { log = "ready" }
exit_code = 6
[[service]]
name = "logs late"
container = { shell = "echo ready; sleep 2; echo late; sleep 1000" }
ready = { log = "ready" }
log = "late"
[[service]]
name = "logs at its end"
container = { shell = "echo ready; sleep 2; echo done; exit 6" }
ready = { log = "ready" }
log = "done"
exit_code = 6
[[service]]
name = "ready after a command that hung"
ready = { exec = ["sh", "-c", "test -e /tmp/again || { : > /tmp/again; exec tail -f /dev/null; }"] }
[service.container]
user = "0"
tmpfs = ["/tmp"]
shell = "exec nc -ll -p 80 -e /bin/sh /www/answer"
[[service]]
name = "answers too late to be ready"
container = { user = "0", shell = "exec nc -ll -p 80 -e /bin/sh /www/answer" }
ready = { http = { port = 80, path = "/slow" }, timeout = 3 }
[[service]]
name = "ends with another code"
container = { shell = "echo ready; sleep 1; exit 6" }
ready = { log = "ready" }
exit_code = 0
[[service]]
name = "dies of a request"
container = { user = "0", shell = "echo ready; nc -l -p 80 >/dev/null; echo dead >&2; exit 9" }
ready = { log = "ready" }
http = [{ port = 80 }, { port = 80 }]
[[service]]
name = "ready at the third answer"
ready = { http = { port = 80, path = "/third", body = "ok" } }
exec = [{ shell = "echo $(busybox wc -l </www/third)", stdout = "3\n" }]
container = { user = "0", shell = "exec nc -ll -p 80 -e /bin/sh /www/answer" }
[[service]]
name = "never has the status"
ready = { http = { port = 80, path = "/503" }, timeout = 4 }
container = { user = "0", shell = "exec nc -ll -p 80 -e /bin/sh /www/answer" }
[[service]]
name = "never has the body"
ready = { http = { port = 80, path = "/kept", body = "never" }, timeout = 4 }
container = { user = "0", shell = "exec nc -ll -p 80 -e /bin/sh /www/answer" }
[[service]]
name = "resets its answers"
ready = { http = { port = 80, path = "/reset", body = "ok" }, timeout = 4 }
container = { user = "0", shell = "exec nc -ll -p 80 -e /bin/sh /www/answer" }
[[service]]
name = "closes its answers"
ready = { http = { port = 80, path = "/close", body = "ok" }, timeout = 60 }
container = { user = "0", shell = "exec nc -ll -p 80 -e /bin/sh /www/answer" }
[[service]]
name = "answers"
ready = { port = 80 }
container = { user = "0", shell = "exec nc -ll -p 80 -e /bin/sh /www/answer" }
[[service.http]]
port = 80
path = "/kept"
body = "ok"
[[service.http]]
port = 80
path = "/chunked"
body = "chunks"
[[service.http]]
port = 80
path = "/none"
status = 204
body = ""
[[service.http]]
port = 80
path = "/short"
body = "o"
[[service.http]]
port = 80
path = "/moved"
redirects = true
body = "ok"
[[service.http]]
port = 80
path = "/moved"
status = 302
headers = { location = "kept" }
[[service.http]]
port = 80
path = "/moved"
body = "ok"
[[service.http]]
port = 80
path = "/away"
redirects = true
[[service.http]]
port = 80
path = "/echo"
method = "PUT"
request_headers = { X-Name = "value" }
request_body = "sent"
status = [200, 201]
headers = { content-type = { contains = "json" } }
absent_headers = ["server"]
json = { "/method" = "PUT", "/header" = { matches = "value" }, "/body" = "sent" }
[[service.http]]
port = 80
path = "/slow"
body = "ok"
[[service.http]]
port = 80
path = "/else"
[[run]]
name = "unknown user"
container = { user = "nobody-here", shell = "true" }
[[run]]
name = "unknown command"
container = { entrypoint = ["/bin/absent"] }
[[run]]
name = "long error"
[run.container]
shell = """
i=0; while [ $i -lt 99 ]; do echo "line $i of a trace" >&2; i=$((i+1)); done
echo 'KeyError: X' >&2; exit 1"""
"#;

/// A server for one request, which it reads from standard input.
pub const ANSWER: &str = r#"read -r method path version
# A connection that is closed with unread bytes is reset.
case $path in /reset) printf 'HTTP/1.1 200 OK\r\n\r\nok'; exit ;; esac
name= length=0 login=
while read -r line && [ ${#line} -gt 1 ]; do
  case $line in
  [Xx]-[Nn]ame:*) name=${line#*: } ;;
  [Cc]ontent-[Ll]ength:*) length=${line#*: } ;;
  [Aa]uthorization:*) login=${line#*: } ;;
  esac
done
case $path in
/kept) printf 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'; sleep 100 ;;
/close) printf 'HTTP/1.1 200 OK\r\n\r\nok' ;;
/chunked) printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
  printf '3;x=y\r\nchu\r\n3\r\nnks\r\n0\r\n\r\n'
  sleep 100 ;;
/none) printf 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n'; sleep 100 ;;
/short) printf 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\no' ;;
/moved) printf 'HTTP/1.1 302 Found\r\nLocation: kept\r\nContent-Length: 0\r\n\r\n' ;;
/away) printf 'HTTP/1.1 301 x\r\nLocation: http://example.com/\r\nContent-Length: 0\r\n\r\n' ;;
/echo) printf 'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n'
  body=$(head -c "${length%?}")
  printf '{"method": "%s", "header": "%s", "login": "%s", "body": "%s"}' \
    "$method" "${name%?}" "${login%?}" "$body" ;;
/third) echo >>/www/third
  case $(/bin/busybox wc -l </www/third) in
  1 | 2) printf 'HTTP/1.1 503 x\r\nContent-Length: 2\r\n\r\nok' ;;
  *) printf 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' ;;
  esac ;;
/503) printf 'HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n' ;;
/slow) printf 'HTTP/1.1 200 OK\r\n\r\no'; sleep 1000 ;;
/silent) sleep 1000 ;;
*) echo 'SSH-2.0' ;;
esac
"#;

fn services(engine: &str) {
    let sample = SampleImage::new();
    std::fs::write(sample.path("rootfs/www/answer"), ANSWER).unwrap();
    for applet in ["nc", "head", "tail"] {
        let link = sample.path("rootfs/bin").join(applet);
        std::os::unix::fs::symlink("busybox", link).unwrap();
    }
    let env = r#""LINES=one\nTWO=2\n", "EMPTY=", "EQUAL==a=b""#;
    let recipe = RECIPE.replace("\"VERSION=1.2.3\"", env);
    std::fs::write(sample.path("app.toml"), recipe).unwrap();
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    let (output, verdict) = sample.check(&[SERVICES, ENDS].concat(), &["--engine", engine]);
    assert_eq!(output.status.code(), Some(1), "{output:?}\n{verdict:#}");
    for name in ["environment of the config", "environment of a container"] {
        let case = case(&verdict, name);
        assert_eq!(case["outcome"], "passed", "{case:#}");
    }
    let end = |name: &str| without_durations(&mismatches(&verdict, name));
    assert_eq!(
        end("service crash while its port is awaited"),
        "service: its command ended with exit code 4 after N s"
    );
    let crash = case(&verdict, "service crash while its port is awaited");
    assert_eq!(crash["stderr"], "FATAL: no database\n");
    assert_eq!(crash["output"], "starting\n");
    let seconds = &case(&verdict, "service crash while its port is awaited")["seconds"];
    assert!(seconds.as_f64().unwrap() < 100.0, "{seconds}");
    assert_eq!(
        end("service ready and gone"),
        "service: its command ended with exit code 0 after N s"
    );
    let gone = end("service gone without conditions");
    assert!(gone.starts_with("service: its command ended with exit code 7 after N s"), "{gone}");
    let killed = end("service killed by a signal");
    assert!(
        killed.contains("exit code 137 (probably ended by signal 9, SIGKILL) after N s"),
        "{killed}"
    );
    for name in [
        "service ends as expected",
        "service logs late",
        "service logs at its end",
        "service ready after a command that hung",
        "service ready at the third answer",
        "service closes its answers",
    ] {
        assert_eq!(case(&verdict, name)["outcome"], "passed", "{:#}", case(&verdict, name));
    }
    assert_eq!(
        mismatches(&verdict, "service answers too late to be ready"),
        ["service: no complete answer to GET /slow at port 80"]
    );
    for (name, found) in [
        ("status", "status of GET /503 at port 80: expected 200, found 503"),
        ("body", "body of GET /kept at port 80: expected \"never\", found \"ok\""),
    ] {
        let name = format!("service never has the {name}");
        assert_eq!(mismatches(&verdict, &name), [format!("service: {found}")]);
    }
    let reset = "service: body of GET /reset at port 80: expected \"ok\", \
                 found error reading a body from connection: \
                 the connection was reset before its end; until then \"ok\"";
    assert_eq!(mismatches(&verdict, "service resets its answers"), [reset]);
    let other = end("service ends with another code");
    assert!(other.starts_with("service: its command ended with exit code 6 after N s"), "{other}");
    let requests = mismatches(&verdict, "service dies of a request");
    assert_eq!(requests.len(), 3, "two requests and the service: {requests:?}");
    assert!(requests[1].contains("exit code 9"), "{requests:?}");
    assert_eq!(
        mismatches(&verdict, "service answers"),
        [
            "body of GET /short at port 80: error reading a body from connection: \
             end of file before message length reached; until then \"o\"",
            "status of GET /moved at port 80: 302",
            "body of GET /moved at port 80: \"\"",
            "status of GET /away at port 80: no status: it redirects to \"http://example.com/\", \
             outside of the service, which is localhost over the same protocol",
            "body of GET /slow at port 80: it was not complete after 20 s; until then \"o\"",
            "status of GET /else at port 80: no status: \
             it is not an answer in HTTP/1: invalid HTTP version parsed; received \"SSH-2.0\\n\"",
        ]
    );
    check_ends(engine, &verdict);
    // containerd does not name the user, but the file that the image lacks.
    let user = if is_cri(engine) { "/etc/passwd" } else { "nobody-here" };
    for (name, part) in [("run unknown user", user), ("run unknown command", "absent")] {
        let start = end(name);
        assert!(start.starts_with(&format!("start: {engine} reports: ")), "{start}");
        assert!(start.contains(part), "{start}");
    }
    let hint = &case(&verdict, "run unknown command")["hints"][0];
    assert!(hint.as_str().unwrap().contains("the image has no program"), "{hint}");
    assert_eq!(end("run long error"), "exit code: 1");
    let long = case(&verdict, "run long error")["stderr"].as_str().unwrap();
    assert!(long.ends_with("line 98 of a trace\nKeyError: X\n"), "{long}");
}

#[test]
fn services_that_end_fail_at_once_and_answers_are_read_as_http_1_1_on_each_engine() {
    on_each_engine(&["docker-20.10"], services);
}

#[test]
#[ignore = "needs the guest of Podman; for the nightly run"]
fn services_on_podman_are_judged_like_those_on_docker() {
    services("podman-4.3");
}
