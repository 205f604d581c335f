//! Files out of other images, as `COPY --from` copies them. What an image has is compared with what
//! umoci unpacks.

use std::fs;

use serde_json::{Value, json};

use crate::forge::{OCI_CONFIG, OCI_LAYER, OciFolder, config, with};
use crate::lab::{Lab, Run};
use crate::other_tools::LOWER;

/// The upper layer: whiteouts, replaced files and names of one file.
const UPPER: &str = "
    mkdir -p etc opaque bin; touch etc/.wh.gone opaque/.wh..wh..opq; echo new >opaque/new
    echo other >bin/other; ln bin/other bin/another; ln -s ../bin/app etc/to-app";
/// Lists files with their kind, mode, time, target and number of links, and digests of contents.
const LIST: &str = "list() { (cd $1; find . ! -type d -printf '%P %y %m %n %l\\n' | sort
    find . -type d -printf '%P %m\\n' | sort; find . -type f | sort | xargs -d'\\n' sha256sum); }";

/// Makes the image `layout:t` of two layers.
fn image(lab: &Lab) {
    let script = format!(
        "set -e; umask 022; mkdir lower upper; (cd lower; {LOWER}); (cd upper; {UPPER})
         for name in lower upper; do tar --format=gnu -cf $name.tar -C $name .; done"
    );
    lab.tool("bash", ["-c", &script]);
    let layers = ["lower.tar", "upper.tar"].map(|name| fs::read(lab.path(name)).unwrap());
    let oci = OciFolder::new(lab, "layout");
    let blobs = layers.each_ref().map(|layer| oci.blob(layer, OCI_LAYER));
    let config = config(&[&layers[0], &layers[1]]);
    let manifest = oci.manifest(oci.document(OCI_CONFIG, &config), &blobs);
    let name = json!({ "org.opencontainers.image.ref.name": "t" });
    oci.index(&[with(manifest, json!({ "annotations": name }))]);
}

/// Builds an image with `contents`, and unpacks its files into the folder `ours`.
fn unpacked(lab: &Lab, contents: &str) {
    lab.file("app.toml", format!("name='app'\ntag='1'\ncontents={contents}\n"));
    lab.seatrial(["build", "app.toml", "--format", "oci", "-o", "app.tar"]).ok();
    let script = "rm -rf ours app; mkdir app; tar -xf app.tar -C app
        umoci raw unpack --rootless --image app:1 ours";
    lab.tool("bash", ["-ec", script]);
}

#[test]
fn all_files_of_an_image_are_those_that_umoci_unpacks() {
    let lab = Lab::new();
    image(&lab);
    lab.tool("bash", ["-ec", "umoci raw unpack --rootless --image layout:t theirs"]);
    for (contents, ours, theirs) in [
        ("{ image='oci:layout:t' }", "ours", "theirs"),
        ("{ image='layout', source='/bin', target='/srv/x' }", "ours/srv/x", "theirs/bin"),
        ("{ image='layout', source='lib/linked/' }", "ours", "theirs/lib/real"),
    ] {
        // Without the cache, with an empty one, and with the files in it.
        for arguments in ["--no-cache", "", ""] {
            unpacked(&lab, contents);
            let script = format!("{LIST}; diff <(list {ours}) <(list {theirs})");
            lab.tool("bash", ["-ec", &script]);
            let build = ["build", "app.toml", "-o", "again.tar", "--format", "oci", arguments];
            lab.seatrial(build.iter().filter(|argument| !argument.is_empty())).ok();
            let archives = ["again.tar", "app.tar"].map(|name| fs::read(lab.path(name)).unwrap());
            assert!(archives[0] == archives[1], "{contents} {arguments}");
        }
    }
    assert!(!lab.cached_files("image-files").is_empty());
}

#[test]
fn a_single_file_goes_where_a_file_of_the_host_would_go_and_links_lead_to_it() {
    let lab = Lab::new();
    image(&lab);
    for (source, target, found) in [
        ("/bin/app", "/usr/bin/", "usr/bin/app"),
        ("/bin/app", "/usr/bin/tool", "usr/bin/tool"),
        ("bin/hard", "/", "hard"),
        // Symlinks: of a parent, and of the file itself.
        ("/lib/linked/x", "/x/", "x/x"),
        ("/etc/to-app", "/etc/to-app", "etc/to-app"),
    ] {
        let contents = format!("{{ image='layout', source='{source}', target='{target}' }}");
        unpacked(&lab, &contents);
        let expected = if source.ends_with('x') { "in\n" } else { "app\n" };
        let path = lab.path("ours").join(found);
        assert!(path.symlink_metadata().unwrap().is_file(), "{source}");
        assert_eq!(fs::read_to_string(path).unwrap(), expected, "{source}");
        let count = lab.tool("bash", ["-ec", "find ours ! -type d | wc -l"]);
        assert_eq!(count.trim(), "1", "{source}");
    }
}

#[test]
fn owners_modes_and_capabilities_stay_unless_the_recipe_sets_them() {
    let lab = Lab::new();
    lab.file("tool", "tool\n");
    lab.file("etc/passwd", "root:x:0:0::/:/bin/sh\nweb:x:1234:1234::/:/bin/sh\n");
    let tools = "name='tools'\nmtime=2020-01-01\ncontents=[
        { source='tool', target='/usr/bin/tool', owner='7:8', mode='0750' },
        { source='etc', target='/etc' }]
        [[path]]\npath='/usr/bin/tool'\ncapabilities='cap_net_raw=ep'\n";
    lab.file("tools/tools.toml", tools.replace("source='", "source='../"));
    let copy = "image='tools/tools.toml', source='/usr/bin/tool', target='/tool'";
    let app = |more: &str| format!("name='app'\ntag='1'\ncontents=[{{ {copy}{more} }}]\n");
    let built = lab.build(&app(""));
    let tool = built.member("tool").unwrap();
    assert_eq!((tool.owner, tool.mode, tool.mtime), ((7, 8), 0o750, 1_577_836_800));
    let layer = String::from_utf8_lossy(&built.layer_files()[0]).into_owned();
    assert!(layer.contains("SCHILY.xattr.security.capability"));
    let built = lab.build(&app(", owner='1:2', mode='0700'"));
    let tool = built.member("tool").unwrap();
    assert_eq!((tool.owner, tool.mode), ((1, 2), 0o700));
    // Names are those of account files that are taken out of an image, too.
    let passwd = "{ image='tools/tools.toml', source='/etc/passwd', target='/etc/passwd' }";
    let named = format!("name='x'\ncontents=[{passwd}, {{ {copy}, owner='web' }}]\n");
    assert_eq!(lab.build(&named).member("tool").unwrap().owner, (1234, 1234));
    // Patterns are those of every content.
    let some = "name='x'\ncontents={ image='tools/tools.toml', exclude=['/etc', 'none'] }\n";
    lab.file("recipe.toml", some);
    let run = lab.seatrial(["build", "recipe.toml", "-o", "out.tar"]);
    let note = "patterns that match nothing: \"none\" of tools/tools.toml:/";
    assert!(run.stderr().contains(note), "{}", run.stderr());
    for (more, problem) in [
        ("follow_links=true", "contents: follow_links does not apply to an image"),
        ("tar='x.tar'", "one of source, tar, layer and image"),
    ] {
        let message = lab.rejected(&format!("name='x'\ncontents={{ {copy}, {more} }}\n"));
        assert!(message.contains(problem), "{message}");
    }
}

#[test]
fn a_path_that_the_image_does_not_have_is_an_error_with_near_ones() {
    let lab = Lab::new();
    image(&lab);
    for (source, problem) in [
        ("/bin/ap", "layout: the image has no /bin/ap; the nearest folder is /bin, did you mean"),
        ("/opaque/zzzzzz", "the nearest folder is /opaque, which has new"),
        ("/etc/gone", "the image has no /etc/gone"),
        ("/libs/real/x", "did you mean \"lib\"?"),
        ("/bin/app/below", "the image has no /bin/app/below"),
    ] {
        let recipe = format!("name='x'\ncontents={{ image='layout', source='{source}' }}\n");
        let message = lab.rejected(&recipe);
        assert!(message.contains("recipe.toml: contents: image: "), "{message}");
        assert!(message.contains(problem), "{message}");
    }
    let message = lab.rejected("name='x'\ncontents={ image='none.tar' }\n");
    assert!(message.contains("contents: image: failed to read none.tar: there is no"), "{message}");
    let message = lab.rejected("name='x'\ncontents={ image='debian:12' }\n");
    assert!(message.contains("write \"docker://debian:12\""), "{message}");
}

#[test]
fn files_of_another_recipe_are_those_of_its_image() {
    let lab = Lab::new();
    lab.file("compile/src/main", "source\n");
    let compile = "name='compile'\nplatforms=['linux/amd64', 'linux/arm64']\ntag='1'
        contents={ source='src', target='/out' }
        [per_platform.'linux/arm64']\ncontents={ source='src', target='/out', mode='0700' }\n";
    lab.file("compile/compile.toml", compile);
    let copies = "{ image='recipe:compile/compile.toml', source='/out/main', target='/app' },
        { image='compile/compile.toml', source='/out', target='/all' }";
    let app = format!("name='app'\ntag='1'\ncontents=[{copies}]\n");
    for (arch, mode) in [("amd64", 0o644), ("arm64", 0o700)] {
        let built = lab.build(&format!("architecture='{arch}'\n{app}"));
        let found = built.member("app").unwrap();
        assert_eq!((found.content, found.mode), (b"source\n".to_vec(), mode));
        assert_eq!(built.member("all/main").unwrap().mode, mode);
    }
    lab.file("compile/src/main", "changed\n");
    assert_eq!(lab.build(&app).member("app").unwrap().content, b"changed\n");
    // The recipe above is not in an image that it is built from.
    lab.file("compile/compile.toml", "name='c'\nfrom_image='../recipe.toml'\n");
    let message = lab.rejected(&app);
    let circle = "recipe.toml -> compile/compile.toml -> compile/../recipe.toml";
    assert!(message.contains(circle), "{message}");
}

#[test]
fn an_image_may_be_both_the_base_and_a_source_of_files_and_its_steps_run_once() {
    let lab = crate::steps::lab();
    let deps = "name='deps'\ncontents='rootfs'
        [[run]]\ncommand='cat /proc/sys/kernel/random/uuid > /etc/id'\n";
    lab.file("deps.toml", deps);
    let app = "name='app'\ntag='1'\nfrom_image='deps.toml'
        contents={ image='deps.toml', source='/etc/id', target='/copy' }\n";
    lab.file("recipe.toml", app);
    let run = lab.seatrial(["build", "recipe.toml", "--no-cache", "-o", "out.tar"]);
    assert_eq!(run.stderr().matches("step 1/1").count(), 1, "{}", run.stderr());
    run.ok();
    let built = crate::steps::read(&lab, "out.tar");
    let content = |path: &str| built.member(path).unwrap().content;
    assert_eq!(content("copy"), content("etc/id"));
}

#[test]
fn damaged_images_are_errors_and_conf_names_images_by_absolute_paths() {
    let lab = Lab::new();
    lab.file("tree/file", "content\n");
    lab.file("image.toml", "name='image'\ntag='1'\ncontents='tree'\n");
    lab.seatrial(["build", "image.toml", "-o", "image.tar"]).ok();
    let app = "name='app'\ntag='1'\ncontents={ image='image.tar', source='/file' }\n";
    lab.file("app.toml", app);
    let conf = lab.seatrial(["conf", "app.toml"]).ok();
    let conf: Value = serde_json::from_str(&conf).unwrap();
    let image = lab.path("image.tar").display().to_string();
    assert_eq!(conf["contents"][0]["image"], image, "{conf}");
    assert_eq!(conf["contents"][0]["source"], "/file", "{conf}");
    let explained = lab.seatrial(["explain", "app.toml", "/file"]).ok();
    assert!(explained.contains("image.tar:/file"), "{explained}");
    let mut bytes = fs::read(lab.path("image.tar")).unwrap();
    let position = bytes.windows(8).position(|window| window == b"content\n").unwrap();
    bytes[position] ^= 1;
    lab.file("image.tar", &bytes);
    let run: Run = lab.seatrial(["build", "app.toml", "--no-cache", "-o", "x.tar"]);
    let message = run.rejected(&lab, "x.tar");
    assert!(message.contains("image.tar"), "{message}");
}

#[test]
fn a_note_names_images_for_other_platforms_unless_they_are_recipes() {
    let lab = Lab::new();
    lab.file("tree/tool", "program\n");
    let tools = "name='tools'\ntag='1'\narchitecture='arm64'\ncontents='tree'\n";
    lab.file("tools.toml", tools);
    lab.seatrial(["build", "tools.toml", "-o", "tools.tar"]).ok();
    for (image, architecture, noted) in [
        ("tools.tar", "amd64", true),
        ("tools.tar", "arm64", false),
        // A compiler may run on another platform than what it makes.
        ("tools.toml", "amd64", false),
    ] {
        let contents = format!("contents={{ image='{image}', source='/tool' }}");
        let recipe = format!("name='x'\ntag='1'\narchitecture='{architecture}'\n{contents}\n");
        lab.file("app.toml", recipe);
        let run = lab.seatrial(["build", "app.toml", "-o", "x.tar"]);
        let note = "note: the image is for linux/amd64, but its contents from tools.tar are for \
                    linux/arm64: programs among them do not run there\n";
        assert_eq!(run.stderr(), if noted { note } else { "" }, "{image} {architecture}");
        run.ok();
    }
}
