//! Explains in plain words that a container lacks a program. Engines report that in the words of
//! their runtime, such as `failed to create shim task: ... exec: "curl": executable file not found
//! in $PATH: unknown`.

use crate::text;

/// The beginnings and ends of what names the program in messages of runc, crun and shells of
/// engines.
const QUOTES: [(&str, char); 2] = [("exec: \"", '"'), ("executable file `", '`')];

/// Returns a hint if `message` says that a program was not found or may not be executed.
pub(crate) fn hint(message: &str) -> Option<String> {
    let (program, rest) = QUOTES.iter().find_map(|(before, after)| {
        let (_, rest) = message.split_once(before)?;
        rest.split_once(*after)
    })?;
    // Of messages with several causes, only the first one is about the program.
    let rest = rest.lines().next()?.to_lowercase();
    let quoted = text::quote(program);
    Some(match () {
        () if rest.contains("not found in $path") => {
            format!("the image has no program {quoted} in its PATH")
        }
        () if rest.contains("permission denied") => format!("{quoted} is not executable"),
        () if rest.contains("is a directory") => format!("{quoted} is a folder, not a program"),
        // Without "stat", it may be its interpreter or dynamic loader that is missing.
        () if rest.contains("stat ") || rest.contains("not found") => {
            format!("the image has no program {quoted}")
        }
        () if rest.contains("no such file or directory") => {
            format!("the image has no program {quoted}, or lacks its interpreter")
        }
        () => return None,
    })
}

/// Like [`hint`], for the output of a command that ended with `code`. Engines report a command that
/// they cannot start as one that ended with 126 or 127; all other output is the command's own.
pub(crate) fn hint_of_exit(code: i64, output: &str) -> Option<String> {
    matches!(code, 126 | 127).then(|| hint(output)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_runtimes_about_missing_programs_are_explained() {
        for (message, expected) in [
            (
                "failed to create shim task: OCI runtime create failed: runc create failed: unable \
                 to start container process: exec: \"which\": executable file not found in $PATH: \
                 unknown",
                "the image has no program \"which\" in its PATH",
            ),
            (
                "crun: executable file `ls` not found in $PATH: No such file or directory: OCI \
                 runtime attempted to invoke a command that was not found",
                "the image has no program \"ls\" in its PATH",
            ),
            (
                "OCI runtime exec failed: exec failed: unable to start container process: exec: \
                 \"/bin/absent\": stat /bin/absent: no such file or directory: unknown\r\n",
                "the image has no program \"/bin/absent\"",
            ),
            (
                "crun: executable file `/bin/absent` not found: No such file or directory: OCI \
                 runtime attempted to invoke a command that was not found",
                "the image has no program \"/bin/absent\"",
            ),
            (
                "exec: \"/etc/passwd\": permission denied: unknown",
                "\"/etc/passwd\" is not executable",
            ),
            (
                "exec: \"/app\": no such file or directory",
                "the image has no program \"/app\", or lacks its interpreter",
            ),
        ] {
            assert_eq!(hint(message).as_deref(), Some(expected), "{message}");
        }
        for message in ["", "exec: \"x\": exec format error", "unable to find user nobody"] {
            assert_eq!(hint(message), None, "{message}");
        }
    }

    #[test]
    fn only_the_exit_codes_of_engines_say_that_a_program_is_missing() {
        let output = "exec: \"worker\": not found in registry";
        assert_eq!(hint_of_exit(1, output), None);
        let explained = hint_of_exit(127, output);
        assert_eq!(explained.as_deref(), Some("the image has no program \"worker\""));
    }
}
