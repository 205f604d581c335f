//! Limits of CRI: a kubelet does without these, or has them from elsewhere.

pub(in crate::engine) const FILES: &str = "CRI cannot read files of a container; use exec";
pub(in crate::engine) const COPY_INTO: &str = "CRI cannot write files into a running container; \
                                    add them to the files that it starts with";
pub(in crate::engine) const KEPT_FILES: &str = "CRI does not keep the files of a setup command; \
                                                let the command write them";
pub(in crate::engine) const SIGNALS: &str = "CRI sends only the image's stop signal";
pub(in crate::engine) const EXEC_USER: &str = "CRI runs commands only as the user of the container";
pub(crate) const NETWORKS: &str = "CRI has no networks that users create; \
                                   containers that need each other share a pod";
