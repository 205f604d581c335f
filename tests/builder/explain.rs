//! `seatrial explain`: where variables, fields, layers and files come from.

use serde_json::Value;

use crate::lab::{Lab, STORE};

/// A folder with a base image, a store and two contents.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.store(&[("abc-hello-1.0", &["def-libc-2.0"]), ("def-libc-2.0", &[])]);
    lab.file("base/etc/passwd", "root:x:0:0::/:/bin/sh\n");
    lab.file("base/usr/bin/sh", "shell");
    lab.link("base/bin", "usr/bin");
    lab.file("base/etc/motd", "base");
    let base = "name='debian'\ntag='12'\ncontents='base'\n[config]\nCmd=['sh']\nUser='nobody'\n\
                Env=['PATH=/usr/bin', 'LANG=C']\nLabels={a='1'}\n";
    lab.build_with(base, "base.tar", &[]);
    lab.file("one/etc/motd", "one");
    lab.file("one/opt/app", "app");
    lab.mode("one/opt/app", 0o750);
    lab.file("two/bin/tool", "tool");
    lab.file("two/etc/conf", "conf");
    lab.file(
        "recipe.toml",
        format!(
            "name='my/x'\ntag='1'\ncontents=['one', 'two', '/nix/store/abc-hello-1.0']\n\
             from_image='base.tar'\ninherit=['Labels']\n{STORE}\
             [config]\nEntrypoint=['/opt/app']\nLabels={{b='2'}}\n\
             [config.Env]\nLANG='C.UTF-8'\nNEW='1'\n"
        ),
    );
    lab
}

fn explain(lab: &Lab, query: &[&str]) -> String {
    lab.seatrial(["explain", "recipe.toml"].iter().chain(query)).ok()
}

fn explained(lab: &Lab, query: &str) -> Value {
    serde_json::from_str(&explain(lab, &[query, "--json"])).unwrap()
}

#[test]
fn everything_but_files_is_explained_within_80_columns() {
    let lab = lab();
    let text = explain(&lab, &[]);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for line in [
        "  name my/x                                   recipe",
        "  created 1970-01-01T00:00:01Z                default",
        "  PATH=/usr/bin                               base image",
        "  LANG=C.UTF-8                                recipe: config.Env",
        "  Entrypoint [\"/opt/app\"]                     recipe: config.Entrypoint",
        "  Labels {\"a\":\"1\",\"b\":\"2\"}                    recipe and base image: merged",
        "  Cmd [\"sh\"]                                  left out: not in inherit",
        "    2  store path: def-libc-2.0",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
    let json: Value = serde_json::from_str(&explain(&lab, &["--json"])).unwrap();
    let kinds: Vec<&str> = json["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["origin"]["from"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["base", "store", "store", "contents"]);
}

#[test]
fn a_variable_and_a_field_are_explained_by_name() {
    let lab = lab();
    assert_eq!(
        explain(&lab, &["LANG"]),
        "LANG\n  value     C.UTF-8\n  from      recipe: config.Env\n  replaces  C (base image)\n"
    );
    assert_eq!(
        explain(&lab, &["config.Cmd"]),
        "Cmd\n  value     [\"sh\"]\n  from      left out: not in inherit\n"
    );
    assert_eq!(explained(&lab, "platform")["field"]["origin"]["from"], "base");
    let run = lab.seatrial(["explain", "recipe.toml", "LANGG"]);
    let message = run.rejected(&lab, "none");
    assert!(message.contains("\"LANGG\"; did you mean \"LANG\"?"), "{message}");
}

#[test]
fn a_file_is_explained_by_its_layer_and_its_source() {
    let lab = lab();
    let source = |path: &str| lab.path(path).canonicalize().unwrap().display().to_string();
    let text = explain(&lab, &["/opt/app"]);
    let expected = format!(
        "/opt/app\n  kind      file, 0750 0:0\n  layer     4\n  from      contents: 1 {}\n  \
         file      {}\n",
        source("one"),
        source("one/opt/app")
    );
    assert_eq!(text, expected);
    let motd = explained(&lab, "/etc/motd")["path"].clone();
    assert_eq!((&motd["layer"], &motd["in_base"]), (&4.into(), &true.into()));
    let app = explained(&lab, "/opt/app")["path"].clone();
    assert_eq!((&app["kind"], &app["mode"]), (&"file".into(), &"0750".into()));
    assert_eq!((&app["uid"], &app["gid"]), (&0.into(), &0.into()));
    // The base's symlink /bin leads to /usr/bin.
    let tool = explained(&lab, "/bin/tool")["path"].clone();
    assert_eq!((&tool["path"], &tool["layer"]), (&"/usr/bin/tool".into(), &4.into()));
    let shell = explained(&lab, "/bin/sh")["path"].clone();
    assert_eq!((&shell["layer"], &shell["origin"]["from"]), (&1.into(), &"base".into()));
    let link = explained(&lab, "/bin")["path"].clone();
    assert_eq!((&link["kind"], &link["target"]), (&"symlink".into(), &"usr/bin".into()));
    let stored = explained(&lab, "/nix/store/abc-hello-1.0/bin/hello-1.0")["path"].clone();
    assert_eq!(stored["origin"]["detail"], "abc-hello-1.0");
    assert_eq!(stored["source"], source("store/abc-hello-1.0/bin/hello-1.0"));
    let run = lab.seatrial(["explain", "recipe.toml", "/etc/missing"]);
    let message = run.rejected(&lab, "none");
    assert!(message.contains("no /etc/missing; the nearest folder is /etc"), "{message}");
}

#[test]
fn files_of_tables_tars_layers_and_single_paths_are_explained() {
    let lab = lab();
    lab.tool("tar", ["-cf", "rootfs.tar", "-C", "two", "."]);
    lab.file("top/top", "top");
    lab.tool("tar", ["-cf", "top.tar", "-C", "top", "top"]);
    lab.file(
        "recipe.toml",
        "name='x'\ncontents=[{layer='top.tar'}, {source='one', target='/srv'}, \
         {tar='rootfs.tar'}, {source='one/opt/app', target='/bin/renamed'}]\n\
         [[path]]\npath='/etc/made'\ntype='file'\ncontent='x'\n\
         [accounts]\nusers=[{name='app', uid=1000}]\n",
    );
    for (path, from, detail) in [
        ("/srv/opt/app", "contents", "2 "),
        ("/etc/conf", "contents", "3 "),
        ("/bin/renamed", "contents", "4 "),
        ("/top", "contents", "the layer "),
        ("/etc/made", "recipe", "path"),
        ("/etc/passwd", "recipe", "accounts"),
        ("/srv", "contents", "2 "),
    ] {
        let origin = explained(&lab, path)["path"]["origin"].clone();
        assert_eq!(origin["from"], from, "{path}: {origin}");
        let found = origin["detail"].as_str().unwrap();
        assert!(found.starts_with(detail), "{path}: {found}");
    }
}

#[test]
fn a_folder_lists_what_is_in_it_with_origins() {
    let lab = lab();
    let text = explain(&lab, &["/etc"]);
    let lines = |name: &str| text.lines().find(|line| line.starts_with(&format!("    {name} ")));
    assert!(lines("passwd").unwrap().contains("  1  base image: layer 1 ("), "{text}");
    assert!(lines("motd").unwrap().contains("  4  contents: 1 "), "{text}");
    assert!(lines("conf").unwrap().contains("  4  contents: 2 "), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80 || line.contains("from")), "{text}");
    let root = explained(&lab, "/")["path"].clone();
    let names: Vec<&str> =
        root["entries"].as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bin", "etc", "nix", "opt", "usr"]);
}

#[test]
fn the_content_that_counts_is_named_behind_links_of_the_base_and_for_conflicts() {
    let lab = lab();
    lab.file("other/etc/conf", "other");
    for (rule, number) in [("first", "1 "), ("last", "2 ")] {
        lab.file(
            "recipe.toml",
            format!(
                "name='x'\nfrom_image='base.tar'\ncontents=['two', 'other']\nhelpers='tmp'\n\
                 on_conflict='{rule}'\n[[path]]\npath='/bin/made'\ncontent='x'\n"
            ),
        );
        for (path, from, detail) in [
            ("/etc/conf", "contents", number),
            ("/bin/tool", "contents", "1 "),
            ("/usr/bin/tool", "contents", "1 "),
            ("/bin/made", "recipe", "path"),
            ("/tmp", "recipe", "helpers"),
        ] {
            let origin = explained(&lab, path)["path"]["origin"].clone();
            assert_eq!(origin["from"], from, "{path}: {origin}");
            assert!(origin["detail"].as_str().unwrap().starts_with(detail), "{path}: {origin}");
        }
    }
    let tool = explained(&lab, "/bin/tool")["path"].clone();
    assert_eq!(tool["source"], lab.path("two/bin/tool").canonicalize().unwrap().to_str().unwrap());
}

#[test]
fn the_layer_of_a_step_is_explained_by_its_command_on_one_line() {
    let lab = Lab::new();
    lab.file(
        "recipe.toml",
        "name='x'\n[[run]]\nargs=['/usr/bin/dpkg', '-i', '/inputs/tool.deb']\n\
         [[run]]\ncommand=\"\"\"\n  first\nsecond\n\"\"\"\n",
    );
    let explained: Value = serde_json::from_str(&explain(&lab, &["--json"])).unwrap();
    let detail = |layer: usize| explained["layers"][layer]["origin"]["detail"].clone();
    assert_eq!(detail(0), "1 /usr/bin/dpkg -i /inputs/tool.deb");
    assert_eq!(detail(1), "2 first ...");
}
