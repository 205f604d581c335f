//! Steps that change files while the supervisor, which records owners, looks at them.

use std::fs;

use crate::recorded_owners::{step, top};
use crate::steps::{as_plain_user, lab, recipe};

#[test]
fn a_folder_that_is_swapped_for_a_link_does_not_lead_a_step_to_files_of_the_host() {
    let lab = lab();
    lab.file("home/outside/file", "of the host");
    lab.tool("mkfifo", ["home/outside/pipe"]);
    let outside = lab.path("home/outside");
    let status = || {
        let script = "cd home/outside; stat -c '%n %a %u:%g %z' . file pipe
            getfattr -d -m- file; getfattr -d -m- .";
        lab.tool("bash", ["-ec", script])
    };
    // Links with as many steps up as there are may lead to the host from the folder of changes.
    let command = format!(
        "mkdir /srv; cd /srv; mkdir a; echo >a/file; busybox mkfifo a/pipe
(while [ ! -e end ]; do busybox mv a b; ln -s {0} a; rm a; ln -s ../../../../../../../..{0} a
    rm a; busybox mv b a; done) &
for number in $(busybox seq 100); do
    (busybox chown 5:6 a/file a/pipe; busybox chown -h 5:6 a; busybox stat a/pipe; echo >a/new
    busybox mv a/pipe a/other; busybox mv a/other a/pipe) || true
done >/dev/null 2>&1
echo >end; wait; test -p a/pipe || busybox mv a/other a/pipe
busybox chown -R 7:8 a; rm -f a/new end",
        outside.display()
    );
    lab.file("recipe.toml", recipe(&step(&command, "")));
    fs::create_dir_all(lab.path("home")).unwrap();
    lab.tool("chown", ["-R", "54321", "home/outside"]);
    let before = status();
    as_plain_user(&lab, &["build", "recipe.toml", "-o", "home/single.tar"], "").ok();
    assert_eq!(status(), before);
    let lines = top(&lab);
    for expected in ["-rw-r--r-- 7/8 srv/a/file", "prw-r--r-- 7/8 srv/a/pipe"] {
        assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
    }
}
