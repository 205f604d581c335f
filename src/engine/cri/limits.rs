//! Limits of CRI: a kubelet does without these, or has them from elsewhere.

use crate::engine::ExecOptions;

pub(in crate::engine) const FILES: &str = "CRI cannot read files of a container; \
                                    the copy_out of a harness::Container can";
pub(in crate::engine) const COPY_INTO: &str = "CRI cannot write files into a container; \
                                    the copy_in of a harness::Container can";
pub(in crate::engine) const KEPT_FILES: &str = "CRI does not keep the files of a setup command; \
                                                let the command write them";
pub(in crate::engine) const SIGNALS: &str = "CRI sends only the image's stop signal";
const EXEC_USER: &str = "CRI runs commands only as the user of the container";
const EXEC_SETTINGS: &str = "CRI gives commands no env and working_dir; with shell in place of \
                             command, the image's shell sets a folder, and variables whose names \
                             are letters, digits and _";
const EXEC_STDIN: &str = "CRI cannot end the standard input of a command";
pub(crate) const NETWORKS: &str = "CRI has no networks that users create; \
                                   containers that need each other share a pod";

/// Explains which of `options` CRI does not support for a command in a running container, if any.
pub(in crate::engine) fn unsupported_in_exec(options: &ExecOptions) -> Option<&'static str> {
    let has_settings = !options.env.is_empty() || options.working_dir.is_some();
    let user = options.user.as_ref().map(|_| EXEC_USER);
    let stdin = options.stdin.as_ref().map(|_| EXEC_STDIN);
    user.or(stdin).or(has_settings.then_some(EXEC_SETTINGS))
}
