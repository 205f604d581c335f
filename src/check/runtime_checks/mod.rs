//! Runtime checks: they compare expectations with an image that is loaded into an engine, and with
//! its containers.

mod case_names;
mod check_environment;
pub(super) mod companions;
mod container;
pub(super) mod environment;
mod exec;
mod goss_tests;
mod hints;
mod listening;
mod not_run;
mod observe;
mod output;
mod rejection;
mod reporting;
mod run;
mod runs;
mod service;
mod setup;
mod sockets;
mod start_companions;

use std::collections::BTreeMap;
use std::time::Instant;

pub(super) use self::case_names::{
    ENVIRONMENT, LOAD, SETUP, all_skipped, companion_name, is_prerequisite, names, part_names,
    run_name, service_name, with_parts,
};
use self::case_names::{cases, commands, container_cases, part_name};
use self::companions::Companions;
use self::environment::ContainerEnvironment;
use self::output::Output;
use self::service::TestResults;
use super::comparison::goss::SKIPPED;
use super::expectations::{Expectations, ServiceExpectations};
use super::image::ImageUnderTest;
use super::verdict::{Checks, TestCase};
use crate::engine::{RunOptions, State};
use crate::harness::{HarnessError, LoadedImage, is_name_in_snapshots};
use crate::text::Description;

/// The reason why a container is not started whose user the restricted profile does not allow.
const NOT_RESTRICTED: &str =
    "the container was not started: the restricted profile does not allow its user";

/// The checks of a test case, and the output of its container.
type Findings = Result<(Checks, Output), HarnessError>;

/// Runs the runtime checks of one image on one engine.
pub(super) struct RuntimeChecks<'a, 'd> {
    /// The image.
    pub image: &'a LoadedImage<'d>,
    /// The image as it was read.
    pub image_under_test: &'a ImageUnderTest,
    /// The user of the image's config.
    pub image_user: Option<&'a str>,
    /// The images of further containers.
    pub companion_images: &'a companions::Images<'d>,
    /// The name of the engine.
    pub engine: &'a str,
    /// The environment of containers of the image.
    pub environment: &'a mut ContainerEnvironment,
    /// Called with each test case as it ends.
    pub report: &'a mut (dyn FnMut(TestCase) + Send),
    /// The test cases that have ended while that of the environment, which is reported before them,
    /// waits for a container; `None` if it does not wait.
    pub held: Option<Vec<TestCase>>,
    /// The states of the further containers that have ended, by name: a test case has noted them.
    pub known_ends: BTreeMap<String, State>,
}

impl<'d> RuntimeChecks<'_, 'd> {
    /// Checks that the engine lists the image under its name.
    pub(super) async fn check_load(&mut self) {
        let begin = Instant::now();
        let findings = listed(self.image).await;
        self.finish(LOAD.to_owned(), findings, begin);
    }

    /// Runs all test cases that need a container.
    pub(super) async fn check_containers(&mut self, expected: &Expectations) {
        match self.environment.can_wait() && environment::is_offered(expected) {
            true => self.held = Some(Vec::new()),
            false => self.check_environment(&expected.env).await,
        }
        self.check_commands(expected).await;
        if self.held.is_some() {
            self.check_environment(&expected.env).await;
        }
    }

    /// Runs the commands and services of a file.
    async fn check_commands(&mut self, expected: &Expectations) {
        let Some(changed) = self.set_up(expected).await else { return };
        let image = changed.as_ref().unwrap_or(self.image);
        let companions = match self.start_companions(image, expected).await {
            Ok(companions) => companions,
            Err(reason) => {
                commands(expected).for_each(|name| self.skip(name, &reason));
                return self.skip_parts(expected);
            }
        };
        self.check_runs(image, expected, &companions).await;
        for service in &expected.service {
            let container = self.check_service(image, service, &companions).await;
            let offers = environment::has_only_image_env(&service.container);
            self.check_recorded(container.filter(|_| offers), &expected.env).await;
        }
        companions.remove().await;
    }

    /// Runs the commands of `setup`, and returns the image that they make, if there are any. If one
    /// fails, that is a test case, all others are skipped, and the result is `None`.
    async fn set_up(&mut self, expected: &Expectations) -> Option<Option<LoadedImage<'d>>> {
        if expected.setup.is_empty() {
            return Some(None);
        }
        let steps: Vec<setup::Step> = expected.setup.iter().map(Into::into).collect();
        let (begin, engine) = (Instant::now(), self.image.daemon().engine());
        let unsupported = |step: &setup::Step| engine.unsupported_to_commit(step.options());
        if let Some(reason) = steps.iter().find_map(unsupported) {
            let names = std::iter::once(SETUP.to_owned()).chain(cases(expected));
            names.for_each(|name| self.skip(name, reason));
            self.skip_parts(expected);
            return None;
        }
        let user = self.image_user;
        let mut commands = expected.setup.iter().zip(&steps).enumerate();
        let forbidden = commands.find_map(|(index, (command, step))| {
            let subject = format!("user of {}", step.subject(index));
            command.container.restricted_user_of(&subject, user)
        });
        let applied = match forbidden {
            Some(checks) => Ok(Some(Err(checks))),
            None => setup::apply(self.image, &steps).await,
        };
        let findings = match applied {
            Ok(None) => return Some(None),
            Ok(Some(Ok(changed))) => return Some(Some(changed)),
            Ok(Some(Err(checks))) => Ok((checks, Output::default())),
            Err(error) => Err(error),
        };
        self.finish(SETUP.to_owned(), findings, begin);
        cases(expected).for_each(|name| self.skip(name, "the setup did not succeed"));
        self.skip_parts(expected);
        None
    }

    /// Reports the parts of services that the engine cannot check as skipped.
    fn skip_parts(&mut self, expected: &Expectations) {
        expected.service.iter().for_each(|service| self.skip_parts_of(service));
    }

    fn skip_parts_of(&mut self, expected: &ServiceExpectations) {
        let (_, left_out) = service::supported(expected, self.image.daemon().engine());
        let name = service_name(expected);
        left_out.into_iter().for_each(|(part, why)| self.skip(part_name(&name, part), why));
    }

    /// Reports all test cases that need a container as skipped.
    pub(super) fn skip_containers(&mut self, expected: &Expectations, reason: &str) {
        let without_services = Expectations { service: Vec::new(), ..expected.clone() };
        container_cases(&without_services).for_each(|name| self.skip(name, reason));
        expected.service.iter().for_each(|service| self.skip_service(service, reason));
    }

    /// Reports the test cases of a service as skipped, but for those of a goss file that can look
    /// at the image.
    fn skip_service(&mut self, expected: &ServiceExpectations, reason: &str) {
        if expected.has_own_case() {
            self.skip(service_name(expected), reason);
        }
        self.skip_parts_of(expected);
        self.report_tests(expected, TestResults::default(), reason);
    }

    /// Runs the test case of a service, and those of its goss file. Returns the ID of its
    /// container, if it was started.
    async fn check_service(
        &mut self,
        image: &LoadedImage<'d>,
        expected: &ServiceExpectations,
        companions: &Companions,
    ) -> Option<String> {
        let (begin, name) = (Instant::now(), service_name(expected));
        let options = expected.container.options(true);
        let options = companions.beside(self.image.daemon(), options).await;
        if let Some(reason) = self.unsupported_service(expected, &options) {
            self.skip_service(expected, reason);
            return None;
        }
        let (supported, _) = service::supported(expected, self.image.daemon().engine());
        let mut results = TestResults::default();
        let forbidden = expected.container.restricted_user(self.image_user);
        let is_forbidden = forbidden.is_some();
        let findings = match forbidden {
            Some(checks) => Ok((checks, Output::default())),
            None => {
                let images = (image, self.image_under_test);
                service::check(images, &supported, &options, companions, &mut results).await
            }
        };
        let not_run = match is_forbidden {
            true => NOT_RESTRICTED.to_owned(),
            false => not_run::after(&findings),
        };
        let id = match findings {
            // It need not keep running, but an image that the engine does not start has failed.
            Ok((_, output)) if !expected.has_own_case() => output.container,
            findings => {
                let duration = begin.elapsed();
                self.finish_beside(companions, name, findings, duration).await
            }
        };
        self.skip_parts_of(expected);
        self.report_tests(expected, results, &not_run);
        id
    }

    /// Explains why the engine cannot run a service, if it cannot.
    fn unsupported_service(
        &self,
        expected: &ServiceExpectations,
        options: &RunOptions,
    ) -> Option<&'static str> {
        let engine = self.image.daemon().engine();
        let needs_health = expected.ready.healthy == Some(true);
        let health_check = self.image.daemon().health_check_unsupported();
        let mut commands = expected.exec.iter().map(|exec| exec.options(engine));
        let skipped =
            expected.is_of_gossfile() && expected.tests.iter().all(|test| test.expected.is_none());
        skipped
            .then_some(SKIPPED)
            .or_else(|| engine.unsupported(options))
            .or(health_check.filter(|_| needs_health))
            .or_else(|| commands.find_map(|command| engine.unsupported_in_exec(&command)))
    }
}

/// Checks that the engine lists the image under its name.
async fn listed(image: &LoadedImage<'_>) -> Findings {
    let mut checks = Checks::default();
    let mut tags = image.inspect().await?.tags;
    tags.retain(|tag| !is_name_in_snapshots(tag));
    let (expected, found) = (Description::quote(image.reference()), Description::of(&tags));
    checks.record("tags that the engine lists", expected, found, image.is_listed_in(&tags));
    Ok((checks, Output::default()))
}
