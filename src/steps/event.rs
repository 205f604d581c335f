//! Events of running steps.

/// An event of a running step.
#[derive(Clone, Copy, Debug)]
pub enum StepEvent<'a> {
    /// The steps that follow are those of the recipe with this path, which another recipe names.
    Recipe(&'a str),
    /// A step begins, or its layer comes from the cache.
    Begin {
        /// The number of the step, from 1.
        number: usize,
        /// The number of all steps.
        count: usize,
        /// The command.
        title: &'a str,
        /// Whether it does not run.
        cached: bool,
    },
    /// A status before the command runs, such as that a VM is started.
    Status(&'a str),
    /// The command printed a line.
    Output(&'a str),
}
