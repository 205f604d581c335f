//! Paths that a recipe removes and makes again; compared with umoci, which unpacks images as Docker
//! and containerd do.

use crate::lab::{Built, Lab};
use crate::paths::{base, build, rejected};

/// The paths below `srv` and `usr` of the image with the recipe's `rest`, with their modes, links
/// and contents, as umoci unpacks it.
fn unpacked(lab: &Lab, built: &Built) -> Vec<String> {
    lab.file("image.tar", &built.bytes);
    lab.seatrial(["copy", "docker-archive:image.tar", "oci:layout:t"]).ok();
    lab.tool("umoci", ["raw", "unpack", "--rootless", "--image", "layout:t", "rootfs"]);
    let script = "cd rootfs; find srv usr -mindepth 1 -printf '%p %y %m %l ' \
                  \\( -type f -exec cat {} \\; -o -true \\) -printf '\\n' | sed 's/ *$//' | sort";
    lab.tool("bash", ["-ec", script]).lines().map(str::to_owned).collect()
}

#[test]
fn a_removed_directory_that_is_made_again_has_nothing_of_the_base() {
    let lab = Lab::new();
    base(&lab);
    lab.file("tree/srv/old/of-contents", "");
    let built = build(
        &lab,
        "from_image='base.tar'\ncontents='tree'\n\
         path=[{path='/srv/old', remove=true}, {path='/srv/old/new', content='new'},
               {path='/srv/old', mode='0700'}]\n",
    );
    assert_eq!(built.names(1), ["srv/", "srv/old/", "srv/old/.wh..wh..opq", "srv/old/new"]);
    let found = unpacked(&lab, &built);
    let found: Vec<&String> = found.iter().filter(|line| line.starts_with("srv")).collect();
    assert_eq!(found, ["srv/old d 700", "srv/old/new f 644  new"]);
    // The reader of images sees the same.
    lab.seatrial(["export", "out.tar", "-o", "all.tar"]).ok();
    let names = lab.tool("bash", ["-c", "tar -tf all.tar | grep srv"]);
    assert_eq!(names, "srv/\nsrv/old/\nsrv/old/new\n");
}

#[test]
fn a_removed_path_that_is_made_again_may_be_of_another_kind() {
    let lab = Lab::new();
    base(&lab);
    for (made, names, files) in [
        ("{path='/srv/old', content='file'}", &["srv/old"][..], &["srv/old f 644  file"][..]),
        ("{path='/srv/old', type='symlink', target='x'}", &["srv/old"], &["srv/old l 777 x"]),
        (
            "{path='/srv/old', type='directory', owner='5'}, {path='/srv/old/a/b', content='x'}",
            &["srv/old/", "srv/old/.wh..wh..opq", "srv/old/a/", "srv/old/a/b"],
            &["srv/old d 755", "srv/old/a d 755", "srv/old/a/b f 644  x"],
        ),
        (
            "{path='/srv/old', content='1'}, {path='/srv/old', remove=true},
             {path='/srv/old', type='directory'}",
            &["srv/old/", "srv/old/.wh..wh..opq"],
            &["srv/old d 755"],
        ),
        ("{path='/srv/old/x', content='1'}, {path='/srv/old', remove=true}", &["srv/.wh.old"], &[]),
    ] {
        let recipe =
            format!("from_image='base.tar'\npath=[{{path='/srv/old', remove=true}}, {made}]\n");
        let built = build(&lab, &recipe);
        assert_eq!(built.names(1), [&["srv/"], names].concat(), "{made}");
        let found = unpacked(&lab, &built);
        let found: Vec<&String> = found.iter().filter(|line| line.starts_with("srv")).collect();
        assert_eq!(found, files, "{made}");
        std::fs::remove_dir_all(lab.path("rootfs")).unwrap();
        std::fs::remove_dir_all(lab.path("layout")).unwrap();
    }
    // A directory in the place of a file of the base, also if nothing is left in it.
    for (more, names, line) in [
        ("", &["usr/bin/ping/", "usr/bin/ping/x"][..], "usr/bin/ping/x f 644  x"),
        (", {path='/usr/bin/ping/x', remove=true}", &["usr/bin/ping/"], "usr/bin/ping d 755"),
    ] {
        let built = build(
            &lab,
            &format!(
                "from_image='base.tar'\npath=[{{path='/usr/bin/ping', remove=true}},
                 {{path='/usr/bin/ping/x', content='x'}}{more}]\n"
            ),
        );
        assert_eq!(built.names(1)[2..], *names, "{more}");
        let found = unpacked(&lab, &built);
        let found: Vec<&String> = found.iter().filter(|line| line.contains("ping")).collect();
        assert_eq!(found.last().unwrap().as_str(), line, "{more}");
        std::fs::remove_dir_all(lab.path("rootfs")).unwrap();
        std::fs::remove_dir_all(lab.path("layout")).unwrap();
    }
}

#[test]
fn a_hard_link_does_not_get_the_content_of_what_replaces_its_removed_file() {
    let lab = Lab::new();
    lab.tool("bash", ["-ec", "mkdir d; echo old >d/one; ln d/one two; tar -cf q.tar d two"]);
    let remove = "{path='/d/one', remove=true}";
    let link = "{path='/three', type='hardlink', target='/d/one'}";
    let new = "{path='/d/one', content='new'}";
    let two = "{path='/two', remove=true}";
    for (paths, name, removed) in [
        (remove, "two", "/d/one"),
        (&format!("{remove}, {new}"), "two", "/d/one"),
        ("{path='/d', remove=true}", "two", "/d"),
        (&format!("{two}, {link}, {remove}, {new}"), "three", "/d/one"),
    ] {
        let message = rejected(&lab, &format!("contents=[{{tar='q.tar'}}]\npath=[{paths}]\n"));
        let expected = format!(
            "/{name}: it is a hard link to /d/one, which path {removed} removes; remove /{name} \
             too, or make it a file"
        );
        assert!(message.contains(&expected), "{paths}: {message}");
    }
    // A link to the new file is one, and a file in the place of a link has its own content.
    for (paths, contents) in [
        (format!("{remove}, {new}, {two}, {link}"), [("d/one", "new"), ("three", "")]),
        (
            format!("{remove}, {new}, {{path='/two', content='own'}}"),
            [("d/one", "new"), ("two", "own")],
        ),
    ] {
        let built = build(&lab, &format!("contents=[{{tar='q.tar'}}]\npath=[{paths}]\n"));
        for (name, content) in contents {
            let member = built.member(name).unwrap();
            assert_eq!(String::from_utf8(member.content).unwrap(), content, "{paths}");
        }
    }
}

#[test]
fn a_link_that_was_removed_is_not_followed() {
    let lab = Lab::new();
    base(&lab);
    let built = build(
        &lab,
        "from_image='base.tar'\n\
         path=[{path='/bin', remove=true}, {path='/bin/new', content='x'}]\n",
    );
    assert_eq!(built.names(1), ["bin/", "bin/new"]);
}

#[test]
fn what_an_entry_has_removed_cannot_be_changed() {
    let lab = Lab::new();
    base(&lab);
    lab.file("tree/doc/a", "");
    let recipe = "from_image='base.tar'\ncontents='tree'\n";
    for (path, removed) in [("/srv/old/file", "/srv"), ("/doc/a", "/doc")] {
        let message = rejected(
            &lab,
            &format!(
                "{recipe}path=[{{path='{removed}', remove=true}}, {{path='{path}', mode='0600'}}]\n"
            ),
        );
        let expected = format!("path {path}: an earlier entry removes {removed}; remove one");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn files_to_which_accounts_are_added_cannot_be_removed() {
    let lab = Lab::new();
    base(&lab);
    for (removed, more, file) in [
        ("/etc", "", "/etc/passwd"),
        ("/etc", ", {path='/etc', type='directory'}", "/etc/passwd"),
        ("/etc/passwd", "", "/etc/passwd"),
        ("/etc/passwd", ", {path='/etc/passwd', content=''}", "/etc/passwd"),
        ("/etc/group", "", "/etc/group"),
    ] {
        let message = rejected(
            &lab,
            &format!(
                "from_image='base.tar'\npath=[{{path='{removed}', remove=true}}{more}]\n\
                 accounts={{users=[{{name='a', uid=5}}]}}\n"
            ),
        );
        let expected =
            format!("path {removed}: it removes {file}, to which accounts are added; leave out");
        assert!(message.contains(&expected), "{removed}{more}: {message}");
    }
}
