//! Users of steps by name: those that the command sees, whichever layers have the file.

use crate::steps::{build, lab, recipe};

#[test]
fn a_user_of_a_step_is_one_that_the_step_sees() {
    let lab = lab();
    for (change, expected) in [
        ("echo app:x:7:8::/:/bin/sh >/etc/passwd", Ok("uid=7(app) gid=8")),
        (
            "mkdir /x; echo app:x:9:0::/:/bin/sh >/x/users; rm /etc/passwd
             ln -s ../x/users /etc/passwd",
            Ok("uid=9(app) gid=0(root)"),
        ),
        (
            "mkdir /y; echo app:x:6:0::/:/bin/sh >/y/passwd; rm -r /etc; ln -s /y/../y /etc",
            Ok("uid=6(app) gid=0"),
        ),
        ("rm /etc/passwd", Err("the image's /etc/passwd does not have \"app\"")),
        ("rm -r /etc; mkdir /etc", Err("the image's /etc/passwd does not have \"app\"")),
        ("rm /etc/passwd; mkdir /etc/passwd", Err("does not have \"app\"")),
        ("rm /etc/passwd; ln -s passwd /etc/passwd", Err("does not have \"app\"")),
    ] {
        let steps = format!("[[run]]\ncommand='''{change}'''\n[[run]]\ncommand='id'\nuser='app'\n");
        let run = build(&lab, &recipe(&steps), &[]);
        let (code, text) = match expected {
            Ok(text) => (0, text),
            Err(text) => (2, text),
        };
        assert_eq!(run.output.status.code(), Some(code), "{change}: {}", run.stderr());
        assert!(run.stderr().contains(text), "{change}: {}", run.stderr());
    }
}
