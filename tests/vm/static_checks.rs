//! `seatrial check --no-vm`: static checks.

use std::process::Command;

use seatrial::check::expectations::{
    ContainerFile, ExecExpectations, FileExpectations, ReadyConditions, RunExpectations,
    ServiceExpectations, Text,
};
use seatrial::check::{Expectations, ExpectationsFile, Mode};
use serde_json::Value;

use crate::sample_image::{RECIPE, SampleImage};

/// Expectations that the sample image meets, others that it does not, and the beginning of the
/// mismatch that is shown then. `SHA` stands for the digest of a file according to sha256sum(1),
/// `ZERO` for another.
const STATIC: &[(&str, &str, &str)] = &[
    (
        "[image]\nreference='sample/app:1.0'",
        "[image]\nreference='a:1'",
        r#"config: reference: expected "a:1", found "sample/app:1.0""#,
    ),
    ("[image]\ntag='1.0'", "[image]\ntag='2'", r#"config: tag: expected "2", found "1.0""#),
    (
        "[image]\narchitecture='amd64'",
        "[image]\narchitecture='arm64'",
        r#"config: architecture: expected "arm64", found "amd64""#,
    ),
    (
        "[image]\nvariant=''",
        "[image]\nvariant='v8'",
        r#"config: variant: expected "v8", found nothing"#,
    ),
    (
        "[image]\nos='linux'",
        "[image]\nos='windows'",
        r#"config: os: expected "windows", found "linux""#,
    ),
    (
        "[image]\nuser='7:8'",
        "[image]\nuser='root'",
        r#"config: user: expected "root", found "7:8""#,
    ),
    (
        "[image]\nworking_dir='/www'",
        "[image]\nworking_dir='/'",
        r#"config: working directory: expected "/", found "/www""#,
    ),
    (
        "[image]\nstop_signal='SIGTERM'",
        "[image]\nstop_signal='SIGINT'",
        r#"config: stop signal: expected "SIGINT", found "SIGTERM""#,
    ),
    (
        "[image]\ncreated='1970-01-01T00:00:01Z'",
        "[image]\ncreated='now'",
        r#"config: created: expected "now", found "1970-01-01T00:00:01Z""#,
    ),
    (
        "[image]\nentrypoint=['/bin/sh', '-c']",
        "[image]\nentrypoint=[]",
        r#"config: entrypoint: expected [], found ["/bin/sh", "-c"]"#,
    ),
    (
        "[image]\ncmd=['echo hello']",
        "[image]\ncmd=['x']",
        r#"config: command: expected ["x"], found ["echo hello"]"#,
    ),
    (
        "[image]\nshell=['/bin/sh']",
        "[image]\nshell=['x']",
        r#"config: shell: expected ["x"], found ["/bin/sh"]"#,
    ),
    (
        "[image]\nexposed_ports=['80/tcp']",
        "[image]\nexposed_ports=['8/udp']",
        r#"config: exposed ports: expected ["8/udp"], found ["80/tcp"]"#,
    ),
    (
        "[image]\nvolumes=['/data']",
        "[image]\nvolumes=[]",
        r#"config: volumes: expected [], found ["/data"]"#,
    ),
    (
        "[image.labels]\nteam='deck'",
        "[image.labels]\nteam='x'",
        r#"config: label team: expected "x", found "deck""#,
    ),
    (
        "[image.labels]\nteam='deck'",
        "[image.labels]\ncrew='x'",
        r#"config: label crew: expected "x", found nothing"#,
    ),
    (
        "[image]\nhealthcheck={ Test = ['CMD', '/bin/true'] }",
        "[image]\nhealthcheck={ Test = ['NONE'] }",
        r#"config: health check: expected {"Test": ["NONE"]}, found {"Test": ["CMD", "#,
    ),
    ("[image]\nlayers=1", "[image]\nlayers=2", r#"config: number of layers: expected 2, found 1"#),
    (
        "[image]\nmax_layers=1",
        "[image]\nmax_layers=0",
        r#"config: number of layers: expected at most 0, found 1"#,
    ),
    (
        "[image]\nmax_size=9000000",
        "[image]\nmax_size=10",
        r#"config: size of all layers: expected at most 10 bytes, found "#,
    ),
    (
        "[image]\nshares_layers={ with = 'app.tar' }",
        "[image]\nshares_layers={ with = 'app.tar', at_least = 2 }",
        r#"config: layers in common with app.tar: expected at least 2, found 1"#,
    ),
    (
        "[env]\nhas={ PATH = '/bin' }",
        "[env]\nhas={ PATH = '/sbin' }",
        r#"environment of the config: PATH: expected "/sbin", found "/bin""#,
    ),
    (
        "[env]\nhas={ PATH = '/bin' }",
        "[env]\nhas={ HOME = '/' }",
        r#"environment of the config: HOME: expected "/", found nothing"#,
    ),
    (
        "[env]\nabsent=['DEBUG']",
        "[env]\nabsent=['PATH']",
        r#"environment of the config: PATH: expected nothing, found "/bin""#,
    ),
    (
        "[env]\nmatches={ VERSION = '^1\\.' }",
        "[env]\nmatches={ VERSION = '^2' }",
        r#"environment of the config: VERSION: expected matches /^2/, found "1.2.3""#,
    ),
    (
        "[env]\nexactly={ PATH = '/bin', VERSION = '1.2.3' }",
        "[env]\nexactly={ PATH = '/bin' }",
        r#"environment of the config: VERSION: expected nothing, found "1.2.3""#,
    ),
    (
        "[[file]]\npath='/bin/sh'",
        "[[file]]\npath='/bin/bash'",
        r#"file /bin/bash: existence: expected exists, found does not exist"#,
    ),
    (
        "[[file]]\npath='/x'\nexists=false",
        "[[file]]\npath='/bin/sh'\nexists=false",
        r#"file /bin/sh: existence: expected does not exist, found exists"#,
    ),
    (
        "[[file]]\npath='/bin'\ntype='directory'",
        "[[file]]\npath='/bin'\ntype='file'",
        r#"file /bin: type: expected "file", found "directory""#,
    ),
    (
        "[[file]]\npath='/bin/busybox'\nmode='0755'",
        "[[file]]\npath='/bin/busybox'\nmode='0700'",
        r#"file /bin/busybox: mode: expected "0700", found "0755""#,
    ),
    (
        "[[file]]\npath='/bin/busybox'\nuid=0\ngid=0",
        "[[file]]\npath='/bin/busybox'\nuid=1",
        r#"file /bin/busybox: user ID: expected 1, found 0"#,
    ),
    (
        "[[file]]\npath='/www/index.html'\nsize=14",
        "[[file]]\npath='/www/index.html'\nsize=1",
        r#"file /www/index.html: size in bytes: expected 1, found 14"#,
    ),
    (
        "[[file]]\npath='/bin/sh'\ntarget='busybox'",
        "[[file]]\npath='/bin/sh'\ntarget='dash'",
        r#"file /bin/sh: symlink target: expected "dash", found "busybox""#,
    ),
    (
        "[[file]]\npath='/www/index.html'\nsha256='SHA'",
        "[[file]]\npath='/www/index.html'\nsha256='ZERO'",
        r#"file /www/index.html: sha256: expected "ZERO", found "SHA""#,
    ),
    (
        "[[file]]\npath='/bin'\nexists=true",
        "[[file]]\npath='/bin'\nsha256='ZERO'",
        r#"file /bin: sha256: expected "ZERO", found nothing"#,
    ),
    (
        "[[file]]\npath='/www/index.html'\ncontent={ contains = 'ahoy', not_matches = '[0-9]{2}' }",
        "[[file]]\npath='/www/index.html'\ncontent='x'",
        r#"file /www/index.html: content: expected "x", found "<h1>ahoy</h1>\n""#,
    ),
    (
        "[[file]]\npath='/www/index.html'\ncontent={ not_contains = 'x' }",
        "[[file]]\npath='/www/index.html'\ncontent={ not_contains = 'ahoy' }",
        r#"file /www/index.html: content: expected does not contain "ahoy", found "<h1>"#,
    ),
    (
        "[[file]]\npath='/www/index.html'\ncontent={ not_matches = 'x' }",
        "[[file]]\npath='/www/index.html'\ncontent={ not_matches = 'a.o' }",
        r#"file /www/index.html: content: expected does not match /a.o/, found "<h1>ahoy</h1>\n""#,
    ),
    (
        "[image]\nexposed_ports={ has=['80'], absent=['8080/tcp', '443'] }",
        "[image]\nexposed_ports={ absent=['80/tcp'] }",
        r#"config: exposed ports: expected does not have "80/tcp", found ["80/tcp"]"#,
    ),
    (
        "[image]\nvolumes={ has=['/data'] }",
        "[image]\nvolumes={ has=['/srv'] }",
        r#"config: volumes: expected has "/srv", found ["/data"]"#,
    ),
    (
        "[env]\nhas={ VERSION={ matches=['^1', '3$'] }, PATH='/bin' }",
        "[env]\nhas={ VERSION={ matches=['^1', '2$'] } }",
        r#"environment of the config: VERSION: expected matches /2$/, found "1.2.3""#,
    ),
    (
        "[image]\nlabels={ team={ matches='^d' } }",
        "[image]\nlabels={ team={ matches='^x' } }",
        r#"config: label team: expected matches /^x/, found "deck""#,
    ),
    (
        "[[file]]\nname='busybox'\npath='/bin/busybox'\nexecutable_by='other'",
        "[[file]]\nname='page'\npath='/www/index.html'\nexecutable_by='any'",
        r#"file page: executable by any: expected yes, found no (mode 0644)"#,
    ),
    (
        "[[file]]\npath='/bin/sh'\nfollow=true\ntype='file'",
        "[[file]]\npath='/bin/sh'\ntype='file'",
        r#"file /bin/sh: type: expected "file", found "symlink""#,
    ),
    // A slash at the end leads to a folder, also through a symlink, and never to a file.
    (
        "[[file]]\npath='/www/'\ntype='directory'",
        "[[file]]\npath='/www/index.html/'",
        "file /www/index.html/: existence: expected exists, found does not exist",
    ),
    (
        "[[file]]\npath='/'\ntype='directory'",
        "[[file]]\npath='/bin/sh/'",
        "file /bin/sh/: existence: expected exists, found does not exist",
    ),
    (
        "[image]\ndeny=['duplicate-env', 'world-writable']",
        "[image]\ndeny=['no-certificate-authorities']",
        "config: rule no-certificate-authorities: expected no finding, found ",
    ),
];

#[test]
fn a_slash_at_the_end_leads_through_a_symlink_to_a_folder() {
    let sample = SampleImage::new();
    std::os::unix::fs::symlink("www", sample.path("rootfs/link")).unwrap();
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    // As for lstat(2).
    for (path, kind) in [("/link", "symlink"), ("/link/", "directory"), ("/www//", "directory")] {
        let text = format!("[[file]]\npath='{path}'\ntype='{kind}'");
        assert_eq!(sample.static_mismatches(&text), [""; 0], "{path}");
    }
}

#[test]
fn symlinks_that_form_a_loop_lead_nowhere() {
    let sample = SampleImage::new();
    std::os::unix::fs::symlink("loop", sample.path("rootfs/www/loop")).unwrap();
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    let file =
        |keys: &str| sample.static_mismatches(&format!("[[file]]\npath='/www/loop'\n{keys}"));
    assert_eq!(file("type='symlink'"), [""; 0]);
    // As for `test -e`.
    assert_eq!(file("follow=true\nexists=false"), [""; 0]);
    let found = "file /www/loop: existence: expected exists, found does not exist";
    assert_eq!(file("follow=true"), [found]);
}

#[test]
fn owners_may_be_names_of_the_account_files_of_the_image() {
    let sample = SampleImage::new();
    let file =
        |owner: &str| sample.static_mismatches(&format!("[[file]]\npath='/bin/busybox'\n{owner}"));
    let found = "file /bin/busybox: group: expected \"root\", found ID 0, which has no name; \
                 there is no /etc/group";
    assert_eq!(file("group='root'"), [found]);
    std::fs::create_dir(sample.path("rootfs/etc")).unwrap();
    let accounts = [("passwd", "root:x:0:0::/:/bin/sh\nweb:x:7:8::/www:/bin/true\n")];
    for (name, content) in accounts.iter().chain([&("group", "root:x:0:\nlog:x:9:web\n")]) {
        std::fs::write(sample.path("rootfs/etc").join(name), content).unwrap();
    }
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    assert_eq!(file("user='root'\ngroup='root'"), [""; 0]);
    assert_eq!(
        file("user='web'\ngroup='log'"),
        [
            r#"file /bin/busybox: user: expected "web" (ID 7), found "root" (ID 0)"#,
            r#"file /bin/busybox: group: expected "log" (ID 9), found "root" (ID 0)"#,
        ]
    );
    let found = "file /bin/busybox: user: expected \"wbe\", found \"root\" (ID 0); /etc/passwd \
                 has no user \"wbe\"";
    assert_eq!(file("user='wbe'"), [found]);
    for (key, problem) in [
        ("user='7'", "write numbers as uid"),
        ("group=''", "the group of file \"/bin/busybox\" is empty"),
    ] {
        let toml = format!("[[file]]\npath='/bin/busybox'\n{key}\n");
        std::fs::write(sample.path("e.toml"), toml).unwrap();
        let output = sample.seatrial(&["check", "app.tar", "--expect", "e.toml", "--no-vm"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn a_static_check_passes_or_fails_and_shows_the_expected_and_the_found_value() {
    let sample = SampleImage::new();
    let sum = Command::new("sha256sum").arg(sample.path("rootfs/www/index.html")).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap()[..64].to_owned();
    for (met, unmet, mismatch) in STATIC {
        let digests = |text: &str| text.replace("SHA", &sum).replace("ZERO", &"0".repeat(64));
        assert_eq!(sample.static_mismatches(&digests(met)), [""; 0], "{met}");
        let (mismatch, found) = (digests(mismatch), sample.static_mismatches(&digests(unmet)));
        assert!(
            found.len() == 1 && found[0].starts_with(&mismatch),
            "{unmet}\n{found:?}\n{mismatch}"
        );
    }
}

/// As Docker reads `EXPOSE` (`nat.ParsePortSpec`): without a protocol, TCP is meant.
#[test]
fn ports_are_found_however_the_image_writes_them() {
    let sample = SampleImage::new();
    let ports = r#"ExposedPorts = { "443" = {}, "8000-8010/tcp" = {}, "53/udp" = {} }"#;
    let recipe = RECIPE.replace(r#"ExposedPorts = { "80/tcp" = {} }"#, ports);
    std::fs::write(sample.path("app.toml"), recipe).unwrap();
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    for (expected, passes) in [
        ("has=['443/tcp', '8001/tcp', '8000-8003', '53']", true),
        ("absent=['443/udp', '8011', '7990-7999/tcp', '53/tcp']", true),
        ("absent=['443/tcp']", false),
        ("absent=['8001']", false),
        ("absent=['8010-9000/tcp']", false),
        ("has=['8000-8011/tcp']", false),
        ("has=['443/udp']", false),
    ] {
        let text = format!("[image]\nexposed_ports={{ {expected} }}");
        assert_eq!(sample.static_mismatches(&text).is_empty(), passes, "{expected}");
    }
    let exactly = "[image]\nexposed_ports=['443/tcp', '8000-8010/tcp', '53/udp']";
    assert_eq!(sample.static_mismatches(exactly), [""; 0]);
}

#[test]
fn a_duplicate_name_in_the_environment_fails_unless_it_is_allowed() {
    let sample = SampleImage::new();
    // seatrial does not build such images, so change the config in the archive.
    let archive = std::fs::read(sample.path("app.tar")).unwrap();
    let mut reader = tar::Archive::new(&archive[..]);
    let mut writer = tar::Builder::new(std::fs::File::create(sample.path("app.tar")).unwrap());
    for entry in reader.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        let mut name = entry.path().unwrap().to_str().unwrap().to_owned();
        let text = String::from_utf8_lossy(&content).into_owned();
        if name.ends_with(".json") && text.contains("\"PATH=/bin\"") {
            content = text.replace("\"PATH=/bin\"", "\"PATH=/bin\",\"PATH=/sbin\"").into_bytes();
            name = "config.json".to_owned();
        } else if name == "manifest.json" {
            let mut manifest: Value = serde_json::from_slice(&content).unwrap();
            manifest[0]["Config"] = "config.json".into();
            content = manifest.to_string().into_bytes();
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        writer.append_data(&mut header, name, &content[..]).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    let mismatch =
        r#"environment of the config: values of PATH: expected one, found ["/bin", "/sbin"]"#;
    assert_eq!(sample.static_mismatches(""), [mismatch]);
    assert_eq!(sample.static_mismatches("[env]\nunique=false"), [""; 0]);
}

#[test]
fn expectations_that_are_made_in_code_are_checked_as_those_of_a_file() {
    let sample = SampleImage::new();
    let mut expectations = Expectations::default();
    expectations.image.user = Some("root".to_owned());
    let mut page = FileExpectations::new("/www/index.html");
    page.content = Some(Text::containing("ahoy"));
    page.mode = Some(Mode::from_bits(0o600));
    expectations.file.push(page);
    let mut run = RunExpectations::new("greets");
    run.container.files.push(ContainerFile::new("/etc/app.conf", "loud\n"));
    expectations.run.push(run);
    let mut service = ServiceExpectations::new("serves", ReadyConditions::port(80));
    service.exec.push(ExecExpectations::new(["/bin/true"]));
    expectations.service.push(service);
    let file = ExpectationsFile::new(expectations.clone(), sample.0.path().to_owned()).unwrap();
    assert_eq!(
        sample.mismatches_of(&file.expectations),
        [
            r#"config: user: expected "root", found "7:8""#,
            r#"file /www/index.html: mode: expected "0600", found "0644""#,
        ]
    );
    // As in a file: names must be different, and files that are named must exist.
    expectations.run.push(RunExpectations::new("greets"));
    let new = |expectations| {
        ExpectationsFile::new(expectations, sample.0.path().to_owned()).unwrap_err().to_string()
    };
    let error = new(expectations.clone());
    assert!(error.starts_with("expectations: ") && error.contains("greets"), "{error}");
    expectations.run.truncate(1);
    expectations.run[0].container.files[0].content = None;
    expectations.run[0].container.files[0].source = Some("gone".into());
    let error = new(expectations);
    assert!(error.contains("gone: No such file"), "{error}");
}
