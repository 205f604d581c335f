//! Collects the verdict of a run, and reports events while it is running.

use super::expectations::{
    Expectations, ExpectationsFile, GossTest, ServiceExpectations, companion,
};
use super::kept_vm::KeptVm;
use super::verdict::{EngineRun, Outcome, TestCase, Verdict};
use super::{CheckError, VmSettings, runtime_checks, static_checks};
use crate::text;
use crate::vm::Options as VmOptions;

/// Options of a run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The names of the engines; if there are none, runtime checks are skipped.
    pub engines: Vec<String>,
    /// Selects test cases: those whose name contains this text.
    pub filter: Option<String>,
    /// Whether the run fails if a test case is skipped.
    pub deny_skips: bool,
    /// Options of the VMs.
    pub vm: VmOptions,
    /// The name of a running VM, in which images are tested instead of a VM of their own. It has
    /// the only engine in `engines`.
    pub named_vm: Option<String>,
    /// Where the VM is kept for the next run, if there is one image and one engine.
    pub kept_vm: Option<KeptVm>,
}

/// An event of a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step begins that takes a while.
    Progress(String),
    /// The test cases that follow belong to this image, and to this engine unless it is `None`.
    Section(&'a str, Option<&'a EngineRun>),
    /// A test case has ended.
    TestCase(&'a TestCase),
}

/// A function that receives the events of a run.
pub type Reporter<'a> = &'a mut (dyn FnMut(Event<'_>) + Send);

/// Collects the verdict and reports events.
pub(super) struct Recorder<'a> {
    /// The verdict so far.
    pub verdict: Verdict,
    options: &'a Options,
    reporter: Reporter<'a>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(options: &'a Options, reporter: Reporter<'a>) -> Self {
        Self { verdict: Verdict::default(), options, reporter }
    }

    /// Whether the filter selects the test case called `name`.
    pub(super) fn selects(&self, name: &str) -> bool {
        self.options.selects(name)
    }

    pub(super) fn progress(&mut self, step: String) {
        (self.reporter)(Event::Progress(step));
    }

    pub(super) fn section(&mut self, image: &str, engine_run: Option<&EngineRun>) {
        (self.reporter)(Event::Section(image, engine_run));
    }

    pub(super) fn engine_section(&mut self, image: &str, engine_run: EngineRun) {
        self.section(image, Some(&engine_run));
        self.verdict.engine_runs.push(engine_run);
    }

    /// Records a test case if the filter selects it. An error is always recorded.
    pub(super) fn record(&mut self, case: TestCase) {
        let is_needed = match case.outcome {
            Outcome::Error { .. } => true,
            // Otherwise all test cases would be skipped without a failure.
            Outcome::Failed { .. } => runtime_checks::is_prerequisite(&case.name),
            _ => false,
        };
        if is_needed || self.options.selects_part(&case.name) {
            self.record_unfiltered(case);
        }
    }

    pub(super) fn record_unfiltered(&mut self, case: TestCase) {
        (self.reporter)(Event::TestCase(&case));
        self.verdict.cases.push(case);
    }

    /// Records the verdict of an engine, which is filtered already.
    pub(super) fn append(&mut self, image: &str, verdict: Verdict) {
        for engine_run in verdict.engine_runs {
            self.engine_section(image, engine_run);
        }
        verdict.cases.into_iter().for_each(|case| self.record_unfiltered(case));
    }
}

impl Options {
    /// Whether the filter selects the test case called `name`.
    pub(super) fn selects(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|part| name.contains(part))
    }

    /// Whether the filter selects the test case called `name`, or one about a part of it: an engine
    /// that can check this part does so with all of the service.
    pub(super) fn selects_part(&self, name: &str) -> bool {
        runtime_checks::with_parts(name).any(|name| self.selects(&name))
    }

    /// Checks that the filter selects a test case of `files`.
    ///
    /// # Errors
    /// If it excludes all: then a misspelled filter would pass.
    pub(super) fn check_filter(&self, files: &[ExpectationsFile]) -> Result<(), CheckError> {
        let Some(filter) = &self.filter else { return Ok(()) };
        let names = files.iter().flat_map(|file| {
            let ExpectationsFile { expectations, .. } = file;
            let parts = expectations.service.iter().flat_map(runtime_checks::part_names).collect();
            let runtime_checks = runtime_checks::names(expectations);
            [static_checks::names(expectations), runtime_checks, parts].concat()
        });
        let names: Vec<String> = names.collect();
        match names.iter().any(|name| self.selects(name)) {
            true => Ok(()),
            false => Err(CheckError::Filter {
                filter: text::escape(filter).into_owned(),
                names: text::list(&names),
            }),
        }
    }

    /// Whether the filter selects a test case of `files` that needs an engine.
    pub(super) fn select_runtime_check(&self, files: &[ExpectationsFile]) -> bool {
        let mut services = files.iter().flat_map(|file| &file.expectations.service);
        let mut names = files.iter().flat_map(|file| runtime_checks::names(&file.expectations));
        names.any(|name| self.selects(&name))
            || services.any(|service| self.selects_service(service))
    }

    /// Whether the filter selects the test case of `service`, or one about a part of it.
    fn selects_service(&self, service: &ServiceExpectations) -> bool {
        let mut parts = runtime_checks::part_names(service);
        self.selects(&runtime_checks::service_name(service))
            || parts.any(|name| self.selects(&name))
    }

    /// Returns the options with VMs that have what `files` ask for.
    pub(super) fn for_files(&self, files: &[ExpectationsFile]) -> Self {
        let settings = files.iter().map(|file| &file.expectations.vm);
        let settings = settings.fold(VmSettings::default(), |all, one| all.and(one));
        Self { vm: settings.complete(&self.vm), ..self.clone() }
    }

    /// Leaves the tests of the goss file of `service` that the filter selects, and returns whether
    /// that selects one of them, or the service itself.
    fn select_tests(&self, service: &mut ServiceExpectations) -> bool {
        let is_selected = service.has_own_case() && self.selects_service(service);
        let selects = |test: &GossTest| self.selects(&service.test_name(test));
        let tests: Vec<GossTest> = service.tests.iter().filter(|it| selects(it)).cloned().collect();
        service.tests = tests;
        is_selected || !service.tests.is_empty()
    }

    /// Returns `file` without the expectations that the filter excludes, and without further
    /// containers and commands before all others that nothing else needs: they take time, and an
    /// image that cannot be read would end the run.
    pub(super) fn select(&self, file: &ExpectationsFile) -> ExpectationsFile {
        let mut file = file.clone();
        static_checks::retain(&mut file.expectations, |name| self.selects(name));
        let Expectations { run, service, container, setup, .. } = &mut file.expectations;
        run.retain(|run| self.selects(&runtime_checks::run_name(run)));
        service.retain_mut(|service| self.select_tests(service));
        // Each command and service may need each of the containers.
        if run.is_empty() && service.is_empty() {
            let is_selected = |name: &&String| self.selects(&runtime_checks::companion_name(name));
            let selected: Vec<String> = container.keys().filter(is_selected).cloned().collect();
            let needed = companion::needed(container, selected);
            container.retain(|name, _| needed.contains(name));
            let is_needed = self.selects(runtime_checks::SETUP)
                || container.values().any(|companion| companion.source().is_none());
            if !is_needed {
                setup.clear();
            }
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const FILE: &str = "[[setup]]\n[container.app]\ndepends_on=['db']\n[container.db]\n\
                        image='db.tar'\n[container.other]\n[container.web.container]\n\
                        env={ APP='{app.address}' }\n[[run]]\nname='x'\n";

    /// The number of setup commands and the further containers that a filter leaves.
    fn selected(filter: &str) -> (usize, Vec<String>) {
        selected_of(FILE, Some(filter))
    }

    fn selected_of(text: &str, filter: Option<&str>) -> (usize, Vec<String>) {
        let options = Options { filter: filter.map(str::to_owned), ..Options::default() };
        let expectations = Expectations::parse(Path::new("e.toml"), text).unwrap();
        let file = ExpectationsFile { expectations, folder: Path::new("").to_owned() };
        let Expectations { setup, container, .. } = options.select(&file).expectations;
        (setup.len(), container.into_keys().collect())
    }

    #[test]
    fn a_filter_leaves_only_the_containers_and_setup_commands_that_its_test_cases_need() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        assert_eq!(selected("run x"), (1, names(&["app", "db", "other", "web"])));
        assert_eq!(selected("environment"), (0, names(&[])));
        assert_eq!(selected("container app"), (1, names(&["app", "db"])));
        assert_eq!(selected("container web"), (1, names(&["app", "db", "web"])));
        // It has another image, which the setup does not change.
        assert_eq!(selected("container db"), (0, names(&["db"])));
        // A setup may fail, also if nothing follows it.
        assert_eq!(selected("setup"), (1, names(&[])));
        assert_eq!(selected_of("[[setup]]\n", None), (1, names(&[])));
    }
}
