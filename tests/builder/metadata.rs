//! Environment, names, architecture, tags and dates.

use crate::lab::{Lab, STORE, strings};

#[test]
fn the_environment_is_merged_with_the_bases_and_has_each_name_once() {
    let lab = Lab::with_store();
    let base = "name='base'\ncontents='store/c-libc'\n\
                [config]\nEnv=['PATH=/bin', 'LAST=base', 'PATH=/usr/bin']\n";
    assert_eq!(lab.build_with(base, "base.tar", &[]).env(), ["PATH=/usr/bin", "LAST=base"]);
    for layering in ["single", "popularity"] {
        let built = lab.build(&format!(
            "name='x'\nlayering='{layering}'\nfrom_image='base.tar'\ncontents='store/b-zlib'\n\
             [config]\nEnv=['NEW=1', 'LAST=child', 'NEW=2=3']\n"
        ));
        assert_eq!(built.env(), ["PATH=/usr/bin", "LAST=child", "NEW=2=3"], "{layering}");
    }
    let stream = lab.seatrial(["stream", "recipe.toml"]);
    assert!(
        String::from_utf8_lossy(&stream.output.stdout)
            .contains(r#"["PATH=/usr/bin","LAST=child","NEW=2=3"]"#)
    );
}

#[test]
fn a_name_may_have_a_registry_and_the_output_file_gets_the_last_component() {
    let lab = Lab::with_store();
    for layering in ["single", "popularity"] {
        lab.file(
            "recipe.toml",
            format!("name='Registry.example:5000/My/Image'\ntag='1.0'\nlayering='{layering}'\n"),
        );
        lab.seatrial(["build", "recipe.toml"]).ok();
        assert!(lab.exists("image.tar"));
        let reference = lab.seatrial(["reference", "recipe.toml"]).ok();
        assert_eq!(reference, "registry.example:5000/my/image:1.0\n");
    }
    let built =
        lab.build("name='registry.example:5000/my/image'\ntag='1.0'\ncontents='store/c-libc'\n");
    assert_eq!(strings(&built.manifest()["RepoTags"]), ["registry.example:5000/my/image:1.0"]);
    let repositories: serde_json::Value =
        serde_json::from_slice(&built.files()["repositories"]).unwrap();
    assert!(repositories["registry.example:5000/my/image"]["1.0"].is_string());
}

#[test]
fn the_error_for_an_invalid_name_names_the_rule() {
    let lab = Lab::new();
    assert!(lab.rejected("name='a//b'\n").contains("empty path component"));
    assert!(lab.rejected("name='app:1'\n").contains("cannot contain a tag"));
    assert!(lab.rejected("name='app'\ntag='.x'\n").contains("must begin with"));
}

#[test]
fn the_architecture_is_written_as_goarch_and_defaults_to_the_hosts() {
    let lab = Lab::new();
    let host = lab.tool("dpkg", ["--print-architecture"]).trim().replace("i386", "386");
    assert_eq!(lab.build("name='x'\n").config()["architecture"], host);
    for (written, architecture, variant) in [
        ("x86_64-linux", "amd64", None),
        ("aarch64", "arm64", None),
        ("armv7l", "arm", Some("v7")),
        ("i686", "386", None),
    ] {
        let config = lab.build(&format!("name='x'\narchitecture='{written}'\n")).config();
        assert_eq!(config["architecture"], architecture);
        assert_eq!(config.get("variant").and_then(|v| v.as_str()), variant);
        assert_eq!(config["os"], "linux");
    }
    let config = lab.build("name='x'\narchitecture='arm'\nvariant='v6'\n").config();
    assert_eq!(config["variant"], "v6");
    assert!(lab.rejected("name='x'\narchitecture='amd46'\n").contains("did you mean \"amd64\"?"));
}

#[test]
fn a_base_for_another_architecture_requires_the_architecture_key() {
    let lab = Lab::with_store();
    lab.build_with("name='base'\narchitecture='s390x'\ncontents='store/c-libc'\n", "base.tar", &[]);
    let recipe = "name='x'\nfrom_image='base.tar'\n";
    let message = lab.rejected(recipe);
    assert!(message.contains("s390x") && message.contains("set architecture"), "{message}");
    let built = lab.build(&format!("{recipe}architecture='s390x'\n"));
    assert_eq!(built.config()["architecture"], "s390x");
    let built = lab.build(&format!("{recipe}architecture='arm64'\n"));
    assert_eq!(built.config()["architecture"], "arm64");
}

#[test]
fn reference_prints_the_given_or_derived_tag_of_the_image() {
    let lab = Lab::with_store();
    assert_eq!(lab.build("name='x'\ntag='1.0'\n").tag(), "1.0");
    for recipe in [
        "name='x'\ncontents='store/c-libc'\n".to_owned(),
        format!("name='x'\ncontents='/nix/store/a-app'\n{STORE}"),
        format!(
            "name='x'\nlayering='single'\n\
             contents=['/nix/store/a-app', 'store/../graph.json']\n{STORE}"
        ),
    ] {
        let built = lab.build(&recipe);
        let reference = lab.seatrial(["reference", "recipe.toml"]).ok();
        assert_eq!(reference.trim(), built.summary["reference"].as_str().unwrap());
        assert_eq!(strings(&built.manifest()["RepoTags"]), [reference.trim()]);
        assert_eq!(built.tag().len(), 32);
    }
}

#[test]
fn a_derived_tag_depends_on_the_inputs_alone() {
    let lab = Lab::with_store();
    let tag = |lab: &Lab, recipe: &str| {
        lab.file("recipe.toml", recipe);
        lab.seatrial(["reference", "recipe.toml"]).ok()
    };
    let recipe = "name='x'\ncontents='tree'\n";
    lab.file("tree/a", "one");
    let first = tag(&lab, recipe);
    assert_eq!(tag(&lab, recipe), first);
    // The same files, in another folder and newer.
    let other = Lab::new();
    other.file("tree/a", "one");
    assert_eq!(tag(&other, recipe), first);
    let changed = [
        tag(&lab, "name='x'\ncontents='tree'\n[config]\nCmd=['a']\n"),
        tag(&lab, "name='x'\ncontents='tree'\nuid=1\n"),
        tag(&lab, "name='x'\ncontents='tree'\narchitecture='riscv64'\n"),
        tag(&lab, "name='x'\ncontents='tree'\ncreated='2024-01-01T00:00:00Z'\n"),
        {
            lab.file("tree/a", "two");
            tag(&lab, recipe)
        },
    ];
    let all: std::collections::BTreeSet<&String> = changed.iter().chain([&first]).collect();
    assert_eq!(all.len(), changed.len() + 1, "{all:?}");
    assert_eq!(tag(&lab, "name='x'\ncreated='now'\n"), tag(&lab, "name='x'\ncreated='now'\n"));
    assert!(lab.rejected("name='x'\nmtime='now'\ncontents='tree'\n").contains("set a tag"));
}

#[test]
fn the_creation_date_changes_no_layer() {
    let lab = Lab::with_store();
    let build =
        |more: &str| lab.build(&format!("name='x'\ntag='1'\ncontents='store/c-libc'\n{more}"));
    let fixed = build("");
    assert_eq!(fixed.config()["created"], "1970-01-01T00:00:01Z");
    let given = build("created='2024-05-01T12:00:00.75+02:00'\n");
    assert_eq!(given.config()["created"], "2024-05-01T10:00:00Z");
    assert_eq!(given.layer_files(), fixed.layer_files());
    let now = build("created='now'\n");
    let year = lab.tool("date", ["-u", "+%Y"]);
    assert!(now.config()["created"].as_str().unwrap().starts_with(year.trim()));
    assert_eq!(now.layer_files(), fixed.layer_files());
    assert!(
        build("mtime='2024-05-01T10:00:00Z'\n").layers()[0]
            .iter()
            .all(|m| m.mtime == 1_714_557_600)
    );
    assert!(fixed.layers()[0].iter().all(|m| m.mtime == 1 && m.owner == (0, 0)));
}

#[test]
fn source_date_epoch_is_the_default_creation_date() {
    let lab = Lab::new();
    let created = |recipe: &str, epoch: &str| {
        lab.file("recipe.toml", recipe);
        let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
        command
            .args(["build", "recipe.toml", "--json", "-o", "x.tar"])
            .env("SOURCE_DATE_EPOCH", epoch);
        let run = crate::lab::Run::of(command);
        if run.output.status.success() { run.ok() } else { run.rejected(&lab, "rejected.tar") }
    };
    assert!(created("name='x'\n", "1714557600").contains("2024-05-01T10:00:00Z"));
    assert!(
        created("name='x'\ncreated='2020-01-01T00:00:00Z'\n", "1714557600")
            .contains("2020-01-01T00:00:00Z")
    );
    assert!(created("name='x'\n", "yesterday").contains("SOURCE_DATE_EPOCH"));
}

#[test]
fn a_derived_tag_depends_on_source_date_epoch() {
    let lab = Lab::new();
    lab.file("tree/file", "x");
    lab.file("recipe.toml", "name='x'\ncontents='tree'\n");
    lab.file("fixed.toml", "name='x'\ncontents='tree'\ncreated='2024-05-01T10:00:00Z'\n");
    let tag = |recipe: &str, epoch: Option<&str>| {
        let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
        command.args(["reference", recipe]);
        epoch.map(|epoch| command.env("SOURCE_DATE_EPOCH", epoch));
        crate::lab::Run::of(command).ok()
    };
    assert_eq!(tag("recipe.toml", Some("1714557600")), tag("fixed.toml", None));
    assert_ne!(tag("recipe.toml", Some("1714557600")), tag("recipe.toml", None));
    assert_eq!(tag("recipe.toml", Some("1")), tag("recipe.toml", None), "the default is 1");
    assert_eq!(tag("fixed.toml", Some("1")), tag("fixed.toml", None));
}

#[test]
fn dates_may_be_date_times_of_toml() {
    let lab = Lab::new();
    lab.file("tree/file", "x");
    let text =
        "name='x'\ncontents='tree'\ncreated='2024-05-01T10:00:00Z'\nmtime='2020-01-01T00:00:00Z'\n";
    let quoted = lab.build(text);
    assert_eq!(lab.build(&text.replace("='20", "=20").replace("Z'", "Z")).bytes, quoted.bytes);
    assert_eq!(quoted.config()["created"], "2024-05-01T10:00:00Z");
    assert!(lab.rejected("name='x'\ncreated={a=1}\n").contains("a time such as"));
    assert!(lab.rejected("name='x'\ncreated=07:32:00\n").contains("invalid time \"07:32:00\""));
    assert!(lab.rejected("name='x'\nmtime=1714557600\n").contains("\"@1706702400\""));
}

#[test]
fn dates_may_be_seconds_days_and_times_in_utc() {
    let lab = Lab::new();
    lab.file("tree/file", "x");
    for (written, date) in [
        ("'@1714557600'", "2024-05-01 10:00:00"),
        ("'2024-05-01'", "2024-05-01"),
        ("2024-05-01", "2024-05-01"),
        ("2024-05-01T10:00:00", "2024-05-01 10:00:00"),
        ("2024-05-01 12:00:00+02:00", "2024-05-01 10:00:00"),
    ] {
        let built =
            lab.build(&format!("name='x'\ncontents='tree'\ncreated={written}\nmtime={written}\n"));
        let seconds = lab.tool("date", ["-u", "-d", date, "+%s"]);
        let seconds: u64 = seconds.trim().parse().unwrap();
        assert_eq!(built.layers()[0][0].mtime, seconds, "{written}");
        let iso = lab.tool("date", ["-u", "-d", date, "+%Y-%m-%dT%H:%M:%SZ"]);
        assert_eq!(built.config()["created"], iso.trim(), "{written}");
    }
    let message = lab.rejected("name='x'\nmtime='@1.5'\n");
    assert!(message.contains("mtime: invalid time \"@1.5\"; expected RFC 3339"), "{message}");
}

#[test]
fn the_environment_may_be_a_table_which_is_written_in_the_order_of_its_names() {
    let lab = Lab::new();
    let table = lab.build("name='x'\n[config.Env]\nPATH='/bin:/usr/bin'\nA='b=c'\n");
    assert_eq!(table.env(), ["A=b=c", "PATH=/bin:/usr/bin"]);
    let list = lab.build("name='x'\n[config]\nEnv=['A=b=c', 'PATH=/bin:/usr/bin']\n");
    assert_eq!(table.bytes, list.bytes);
    lab.build_with("name='base'\n[config]\nEnv=['Z=1', 'A=1']\n", "base.tar", &[]);
    let child = lab.build("name='x'\nfrom_image='base.tar'\n[config.Env]\nA='2'\nB='3'\n");
    assert_eq!(child.env(), ["Z=1", "A=2", "B=3"]);
    for (mistake, expected) in [
        ("A=1", "; write A = \"1\""),
        ("'A=B'='1'", "env variable \"A=B\" cannot contain '=' in its name"),
        ("''='1'", "has no name"),
    ] {
        let message = lab.rejected(&format!("name='x'\n[config.Env]\n{mistake}\n"));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn now_is_the_same_time_for_all_platforms() {
    let lab = Lab::new();
    // Large enough that the platforms are built at different seconds.
    lab.file("tree/file", vec![7; 100 << 20]);
    lab.file(
        "recipe.toml",
        "name='x'\ntag='1'\ncontents='tree'\ncreated='now'\nmtime='now'\n\
         platforms=['linux/amd64', 'linux/arm64', 'linux/s390x']\n",
    );
    let build = ["build", "recipe.toml", "--format", "oci", "--json", "-o", "x.tar"];
    let summary: serde_json::Value = serde_json::from_str(&lab.seatrial(build).ok()).unwrap();
    let images = summary["images"].as_array().unwrap();
    assert_eq!(images.len(), 3);
    for image in images {
        assert_eq!(image["created"], images[0]["created"]);
        assert_eq!(image["layers"][0]["diff_id"], images[0]["layers"][0]["diff_id"]);
    }
}
