//! Requests over TLS to a service, whose server is OpenSSL.

use std::path::Path;
use std::process::Command;

use crate::each_engine::on_each_engine;
use crate::sample_image::{RECIPE, SampleImage};
use crate::verdicts::mismatches;
use crate::workbench::{run, stdout};

/// The certificate is for `localhost` and `deck.example`. The last three requests fail.
const EXPECTATIONS: &str = r#"
[[service]]
name = "encrypted"
ready.http = { port = 443, tls = { ca = "own.pem" }, timeout = 60 }
http = [
  { port = 443, tls = { ca = "own.pem" }, body = { contains = "s_server" } },
  { port = 443, tls = { ca = "own.pem", server_name = "deck.example" } },
  { port = 443, tls = { verify = false } },
  { port = 443, path = "/other", tls = { ca = "other.pem" } },
  { port = 443, path = "/name", tls = { ca = "own.pem", server_name = "mast.example" } },
  { port = 443, path = "/plain" },
]
[[service]]
name = "for clients with a certificate"
ready = { port = 443 }
http = [
  { port = 443, tls = { ca = "own.pem", certificate = "other.pem", key = "other.key" } },
  { port = 443, path = "/without", tls = { ca = "own.pem" } },
]
[service.container]
user = "0"
shell = """
exec /usr/bin/openssl s_server -4 -accept 443 -cert /own.pem -key /own.key -www -Verify 1"""
"#;
/// The image's own command, which goss files need.
const SERVER: &str = "Cmd = [\"\
    exec /usr/bin/openssl s_server -4 -accept 443 -cert /own.pem -key /own.key -www\"]";
/// The last request fails.
const GOSS: &str = r#"
http:
  https://localhost/insecure: { status: 200, allow-insecure: true, body: [s_server] }
  https://localhost/own: { status: 200, ca-file: own.pem }
  https://localhost/stranger: { status: 200, ca-file: other.pem }
"#;

/// Makes a certificate that signs itself.
fn certificate(sample: &SampleImage, name: &str) {
    let options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
                   -subj /CN=localhost -addext subjectAltName=DNS:localhost,DNS:deck.example";
    let mut openssl = Command::new("openssl");
    openssl.args(options.split(' ')).current_dir(sample.0.path());
    openssl.args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")]);
    stdout(&run(&mut openssl));
}

/// Adds a program of this host and its libraries to the image.
fn add_program(sample: &SampleImage, program: &str) {
    let libraries = stdout(&run(Command::new("ldd").arg(program)));
    let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/'));
    for file in libraries.chain([program]) {
        let copy = sample.path("rootfs").join(Path::new(file).strip_prefix("/").unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(file, copy).unwrap();
    }
}

#[test]
#[ignore = "for the nightly run"]
fn certificates_are_verified_for_the_name_unless_that_is_off_on_each_engine() {
    on_each_engine(&["docker-20.10"], verifies_certificates);
}

fn verifies_certificates(engine: &str) {
    let sample = SampleImage::new();
    add_program(&sample, "/usr/bin/openssl");
    for name in ["own", "other"] {
        certificate(&sample, name);
    }
    for file in ["own.pem", "own.key"] {
        std::fs::copy(sample.path(file), sample.path("rootfs").join(file)).unwrap();
    }
    let recipe = RECIPE.replace("Cmd = [\"echo hello\"]", SERVER);
    let recipe = recipe.replace("User = \"7:8\"", "User = \"0\"");
    std::fs::write(sample.path("app.toml"), recipe).unwrap();
    std::fs::write(sample.path("goss.yaml"), GOSS).unwrap();
    stdout(&sample.seatrial(&["build", "app.toml", "-o", "app.tar"]));
    let draft = stdout(&sample.seatrial(&["expect", "app.tar", "--engine", engine]));
    let http = "http = [{ port = 443, tls = { verify = false }, path = \"/\", status = 200 }]";
    assert!(draft.contains(http), "{draft}");
    let (_, verdict) = sample.check(EXPECTATIONS, &["--expect", "goss.yaml", "--engine", engine]);
    let failed = mismatches(&verdict, "service encrypted");
    let requests = [
        "GET https://localhost:443/other: ",
        "GET https://localhost:443/name (server name mast.example): ",
        "GET /plain at port 443: ",
    ];
    assert_eq!(failed.len(), requests.len(), "{failed:#?}");
    for (mismatch, request) in failed.iter().zip(requests) {
        assert!(mismatch.contains(request), "{failed:#?}");
    }
    let names = "is not valid for \"mast.example\"; it is for localhost, deck.example";
    assert!(failed[1].contains(names), "{failed:#?}");
    let goss = mismatches(&verdict, "http https://localhost/stranger");
    let [stranger] = &goss[..] else { panic!("{verdict:#}") };
    assert!(stranger.contains("GET https://localhost:443/stranger"), "{goss:#?}");
    for mismatch in failed[..2].iter().chain(&goss) {
        assert!(mismatch.contains("certificate"), "{failed:#?}");
    }
    let failed = mismatches(&verdict, "service for clients with a certificate");
    assert!(
        failed.len() == 1 && failed[0].contains("GET https://localhost:443/without"),
        "{failed:#?}"
    );
}
