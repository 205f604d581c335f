//! Root file systems with a database of packages, split by package. The databases are written by
//! hand from their documentation: deb822(5) and dpkg-query(1), and Alpine's "Apk spec".

use serde_json::Value;

use crate::lab::{Built, Lab, strings};

pub fn build(lab: &Lab, rest: &str) -> Built {
    lab.build(&format!("name='x'\ntag='1'\narchitecture='amd64'\n{rest}"))
}

/// The files of each layer, without directories.
pub fn files(built: &Built) -> Vec<Vec<String>> {
    let is_file = |name: &String| !name.ends_with('/');
    (0..built.layers().len())
        .map(|layer| built.names(layer).into_iter().filter(is_file).collect())
        .collect()
}

/// The packages of each layer, as `layers --json` shows them.
pub fn packages(lab: &Lab, rest: &str) -> Vec<String> {
    lab.file("recipe.toml", format!("name='x'\ntag='1'\narchitecture='amd64'\n{rest}"));
    let json: Value =
        serde_json::from_str(&lab.seatrial(["layers", "recipe.toml", "--json"]).ok()).unwrap();
    let layers = json["layers"].as_array().unwrap().iter();
    layers.map(|layer| strings(&layer["packages"]).join(" ")).collect()
}

/// The root file system of a merged-/usr Debian: two programs that need libc, of which one also
/// needs a library, a package that was removed, and files that no package has.
pub fn debian() -> Lab {
    let lab = Lab::new();
    lab.link("root/bin", "usr/bin");
    lab.file(
        "root/var/lib/dpkg/status",
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\n\
         Version: 2.41-12\nDescription: C library\n with more text\n\n\
         Package: editor\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.0-1\n\
         Provides: vi (= 1.0)\nPre-Depends: libc6 (>= 2.30)\n\n\
         Package: libz\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.3-1\n\
         Depends: libc6\n\n\
         Package: web\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0\n\
         Depends: missing | libz:any (>= 1), libc6 (>= 2.30), vi\n\n\
         Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n",
    );
    for (name, list, file, size) in [
        ("libc6:amd64", "/.\n/usr\n/usr/lib\n/usr/lib/libc.so.6\n", "usr/lib/libc.so.6", 9000),
        ("editor", "/.\n/bin\n/bin/editor\n/var/empty\n", "usr/bin/editor", 5000),
        ("libz", "/.\n/usr\n/usr/lib/libz.so\n", "usr/lib/libz.so", 3000),
        ("web", "/.\n/usr\n/usr/bin/web\n", "usr/bin/web", 7000),
    ] {
        lab.file(format!("root/var/lib/dpkg/info/{name}.list"), list);
        lab.file(format!("root/{file}"), vec![b'x'; size]);
    }
    lab.file("root/var/lib/dpkg/info/libc6:amd64.postinst", "#!/bin/sh\n");
    std::fs::create_dir(lab.path("root/var/empty")).unwrap();
    lab.file("root/srv/app", "of no package");
    lab
}

/// A recipe for a root file system of Debian packages.
pub const DEBIAN: &str = "contents='root'\npackage_layers=true\n";
/// The same with a layer for each of the most popular packages.
pub const POPULAR: &str = "contents='root'\npackage_layers=true\nlayering='popularity'\n";

#[test]
fn each_package_of_dpkg_is_a_layer_and_other_files_are_above() {
    let lab = debian();
    let built = build(&lab, POPULAR);
    let files = files(&built);
    // The most popular package is the lowest.
    assert_eq!(
        files[0],
        [
            "usr/lib/libc.so.6",
            "var/lib/dpkg/info/libc6:amd64.list",
            "var/lib/dpkg/info/libc6:amd64.postinst"
        ]
    );
    // Its path in the list leads through the link /bin.
    let of_editor = files.iter().position(|files| files.contains(&"usr/bin/editor".into()));
    assert!(built.names(of_editor.unwrap()).contains(&"var/empty/".to_owned()));
    assert_eq!(files.last().unwrap()[..], ["bin", "srv/app", "var/lib/dpkg/status"]);
    assert_eq!(files.len(), 5);
}

#[test]
fn packages_are_split_by_the_strategy_of_the_recipe() {
    let lab = debian();
    // As nixpkgs' strategy splits it: the largest packages with what only they need.
    let auto = packages(&lab, &format!("{DEBIAN}layering='auto'\nmax_layers=3\n"));
    assert_eq!(auto.concat().matches("libc6").count(), 1);
    assert_eq!(auto.last().unwrap(), "");
    let popular = packages(&lab, &format!("{POPULAR}max_layers=3\n"));
    assert_eq!(popular[0], "libc6");
    assert_eq!(popular.len(), 3);
    let pipeline = packages(
        &lab,
        &format!("{DEBIAN}layering=[['subcomponent_out', ['/packages/deb-libz']], ['flatten']]\n"),
    );
    assert_eq!(pipeline, ["libc6 libz", "editor web", ""]);
    lab.file("plan.json", r#"{ "layers": [["libc6", "libz"], ["web"]] }"#);
    let plan = packages(&lab, &format!("{DEBIAN}layering='plan.json'\n"));
    assert_eq!(plan, ["libc6 libz", "web", "editor", ""]);
}

#[test]
fn packages_are_balanced_if_the_recipe_names_no_strategy() {
    let lab = debian();
    let own = packages(&lab, &format!("{DEBIAN}max_layers=3\n"));
    let balanced = packages(&lab, &format!("{DEBIAN}layering='balanced'\nmax_layers=3\n"));
    assert_eq!(own, balanced);
    assert_ne!(own, packages(&lab, &format!("{POPULAR}max_layers=3\n")));
}

#[test]
fn an_update_of_a_package_changes_its_layer_and_that_of_other_files_only() {
    let lab = debian();
    let diff_ids = || strings(&build(&lab, DEBIAN).config()["rootfs"]["diff_ids"]);
    let before = diff_ids();
    lab.file("root/usr/bin/web", "new");
    let status = std::fs::read_to_string(lab.path("root/var/lib/dpkg/status")).unwrap();
    lab.file("root/var/lib/dpkg/status", status.replace("Version: 3.0", "Version: 3.1"));
    let after = diff_ids();
    assert_eq!(before.len(), after.len());
    assert_eq!(before.iter().filter(|diff_id| !after.contains(diff_id)).count(), 2);
}

/// A root file system with six packages of similar size, of three sources, which take turns.
fn three_sources(lab: &Lab, version_of_tools: &str) {
    let mut status = String::new();
    for (package, source) in [
        ("p1", "tools"),
        ("p2", "libs"),
        ("p3", "web"),
        ("p4", "tools"),
        ("p5", "libs"),
        ("p6", "web"),
    ] {
        let version = if source == "tools" { version_of_tools } else { "1.0-1" };
        // The version in parentheses is that of the source, if it differs.
        status.push_str(&format!(
            "Package: {package}\nStatus: install ok installed\nArchitecture: amd64\n\
             Source: {source} ({version})\nVersion: {version}\n\n"
        ));
        lab.file(format!("root/var/lib/dpkg/info/{package}.list"), format!("/usr/bin/{package}\n"));
        let content = format!("{package} of {source} {version}");
        lab.file(format!("root/usr/bin/{package}"), format!("{content:4000}"));
    }
    lab.file("root/var/lib/dpkg/status", status);
}

#[test]
fn packages_of_one_source_share_a_layer_so_that_their_update_ships_only_that() {
    let lab = Lab::new();
    let recipe = format!("{DEBIAN}max_layers=4\n");
    let mut images = Vec::new();
    for version in ["1.0-1", "1.1-1"] {
        three_sources(&lab, version);
        let mut layers = packages(&lab, &recipe);
        layers.sort();
        assert_eq!(layers, ["", "p1 p4", "p2 p5", "p3 p6"], "{version}");
        let built = build(&lab, &recipe);
        let diff_ids = strings(&built.config()["rootfs"]["diff_ids"]);
        images.push(diff_ids.into_iter().zip(built.layer_files()).collect::<Vec<_>>());
    }
    let [before, after] = [&images[0], &images[1]];
    let is_new = |layer: &&(String, Vec<u8>)| before.iter().all(|(old, _)| *old != layer.0);
    let sizes: Vec<usize> = after.iter().filter(is_new).map(|(_, tar)| tar.len()).collect();
    // That of the two packages, and that of the database.
    assert_eq!(sizes.len(), 2);
    assert!(sizes.iter().all(|size| *size < 20_000), "{sizes:?}");
}

#[test]
fn a_tar_with_packages_is_split_like_a_folder() {
    let lab = debian();
    let root = build(&lab, DEBIAN);
    lab.tool("tar", ["-cf", "root.tar", "--sort=name", "-C", "root", "."]);
    let tar = build(&lab, "contents=[{tar='root.tar'}]\npackage_layers=true\n");
    assert_eq!(files(&root), files(&tar));
}

#[test]
fn named_layers_come_before_packages() {
    let lab = debian();
    let built = build(&lab, &format!("{DEBIAN}[[layer]]\nname='web'\npaths='/usr/bin/web'\n"));
    let files = files(&built);
    assert_eq!(files[files.len() - 2], ["usr/bin/web"]);
    assert_eq!(files.last().unwrap()[..], ["bin", "srv/app", "var/lib/dpkg/status"]);
}

#[test]
fn packages_of_apk_are_split_too() {
    let lab = Lab::new();
    lab.file(
        "root/lib/apk/db/installed",
        "C:Q1abc=\nP:musl\nV:1.2.5-r9\nA:x86_64\np:so:libc.musl-x86_64.so.1=1\nF:lib\n\
         R:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q1abc=\n\n\
         P:busybox\nV:1.37-r1\nD:so:libc.musl-x86_64.so.1 !other\nF:bin\nR:busybox\n\n\
         P:scripts\nV:3-r0\no:busybox\nD:/bin/busybox musl>=1.2\nF:\nF:etc\nF:etc/init.d\nR:boot\n",
    );
    lab.file("root/lib/ld-musl-x86_64.so.1", "musl");
    lab.file("root/bin/busybox", "busybox");
    lab.file("root/etc/init.d/boot", "boot");
    lab.file("root/etc/hostname", "of no package");
    let recipe = "contents='root'\npackage_layers=true\n";
    assert_eq!(
        files(&build(&lab, recipe)),
        [
            vec!["lib/ld-musl-x86_64.so.1"],
            vec!["bin/busybox"],
            vec!["etc/init.d/boot"],
            vec!["etc/hostname", "lib/apk/db/installed"]
        ]
    );
    assert_eq!(packages(&lab, recipe), ["musl", "busybox", "scripts", ""]);
}

#[test]
fn contents_without_packages_and_contradictions_are_errors() {
    let lab = debian();
    lab.file("plain/file", "");
    for (recipe, expected) in [
        (
            "contents='plain'\npackage_layers=true\n".to_owned(),
            "the contents have no database of packages; expected /var/lib/dpkg/status, \
             /var/lib/dpkg/status.d or /lib/apk/db/installed",
        ),
        (
            format!("{DEBIAN}layering='single'\n"),
            "package_layers has no effect with layering = \"single\"",
        ),
        (
            format!("{DEBIAN}layering=[['subcomponent_out', ['/packages/deb-libx']]]\n"),
            "did you mean \"/packages/deb-libz\"?",
        ),
    ] {
        let error = lab.rejected(&format!("name='x'\ntag='1'\n{recipe}"));
        assert!(error.contains(expected), "{recipe}: {error}");
    }
}

#[test]
fn history_measures_updates_of_packages_and_proposes_a_plan_of_their_names() {
    let lab = debian();
    let recipe = |root: &str| {
        format!("name='x'\ntag='1'\narchitecture='amd64'\ncontents='{root}'\npackage_layers=true\n")
    };
    lab.tool("cp", ["-a", "root", "new"]);
    lab.file("new/usr/bin/web", vec![b'y'; 7000]);
    let status = std::fs::read_to_string(lab.path("new/var/lib/dpkg/status")).unwrap();
    lab.file("new/var/lib/dpkg/status", status.replace("Version: 3.0", "Version: 3.1"));
    lab.file("old.toml", recipe("root"));
    lab.file("new.toml", recipe("new"));
    let json = lab.seatrial(["layers", "new.toml", "--history", "old.toml", "--json"]).ok();
    let json: Value = serde_json::from_str(&json).unwrap();
    let measured = json["measured"].as_array().unwrap();
    let shipped = |strategy: &str| {
        let of = measured.iter().filter(|one| one["strategy"] == strategy);
        of.map(|one| one["shipped"][0].as_u64().unwrap()).max().unwrap()
    };
    // A tar with the changed package: two files of one and 14 blocks, a header for each, and for
    // each of six directories.
    assert_eq!(shipped("each"), 512 * (1 + 14 + 2 + 6), "{json}");
    assert!(shipped("single") > 24_000, "{json}");
    let names: Vec<String> =
        json["plan"]["layers"].as_array().unwrap().iter().flat_map(strings).collect();
    assert!(names.contains(&"web".to_owned()) && names.contains(&"libc6".to_owned()), "{names:?}");
    lab.file("plain.toml", "name='x'\ntag='1'\narchitecture='amd64'\ncontents='root/srv'\n");
    let error = lab.seatrial(["layers", "plain.toml", "--history", "plain.toml"]);
    assert_eq!(error.output.status.code(), Some(2));
    assert!(error.stderr().contains("there is nothing to measure"), "{}", error.stderr());
}
