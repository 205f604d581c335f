//! Starts the containers beside the commands and services of a file: once in an engine, in order.

use std::time::Instant;

use super::companions::{Companion, CompanionImage, Companions};
use super::output::Output;
use super::{RuntimeChecks, companion_name, service};
use crate::check::expectations::{CompanionSpec, Expectations, companion};
use crate::harness::LoadedImage;
use crate::text::errors::chain;

impl<'d> RuntimeChecks<'_, 'd> {
    /// Starts the containers of `expected`, each when the one before is ready.
    ///
    /// # Errors
    /// If one fails: a sentence that names it. The others are reported as skipped.
    pub(super) async fn start_companions(
        &mut self,
        image: &LoadedImage<'d>,
        expected: &Expectations,
    ) -> Result<Companions, String> {
        let engine = self.image.daemon().engine();
        let mut companions = Companions::new(&expected.container, engine);
        let order = companion::start_order(&expected.container).unwrap_or_default();
        let mut order = order.into_iter();
        while let Some(name) = order.next() {
            let Some(spec) = expected.container.get(name) else { continue };
            if let Err(reason) = self.start_companion(image, name, spec, &mut companions).await {
                companions.remove().await;
                order.for_each(|later| self.skip(companion_name(later), &reason));
                return Err(reason);
            }
        }
        Ok(companions)
    }

    /// Starts one container, reports it as a test case, and waits until it is ready.
    ///
    /// # Errors
    /// If it is not: a sentence that names it.
    async fn start_companion(
        &mut self,
        image: &LoadedImage<'d>,
        name: &str,
        spec: &CompanionSpec,
        companions: &mut Companions,
    ) -> Result<(), String> {
        let not_ready = || Err(format!("container {name} did not become ready"));
        let (begin, title) = (Instant::now(), companion_name(name));
        let images = self.companion_images;
        let (image, user) = match spec.source().map(|path| images.get(path)) {
            Some(Some(Ok(CompanionImage { image, user }))) => (image, user.as_deref()),
            Some(Some(Err(problem))) => {
                self.error(title, problem.clone(), begin);
                return not_ready();
            }
            _ => (image, self.image_user),
        };
        let service = spec.as_service(name);
        let options = spec.container.options(true);
        let options = companions.beside(self.image.daemon(), options).await;
        if let Some(reason) = self.unsupported_service(&service, &options) {
            self.skip(title, reason);
            return Err(format!("container {name} was skipped: {reason}"));
        }
        if let Some(checks) = spec.container.restricted_user(user) {
            self.finish(title, Ok((checks, Output::default())), begin);
            return not_ready();
        }
        let start = Instant::now();
        let container = match image.start(&options).await {
            Ok(container) => container.into_engine_container(),
            Err(error) => {
                self.finish(title, Err(error), begin);
                return not_ready();
            }
        };
        let start_time = start.elapsed();
        // Before it is ready: that may need others, which reach it by its name. If it has ended, it
        // has no address; then it is not ready either.
        let names: Vec<&str> = spec.aliases.iter().map(String::as_str).chain([name]).collect();
        let announced = companions.announce(self.image.daemon(), &names, &container).await;
        let ready = service::wait_ready(image, &service, container, start_time, companions).await;
        let (findings, container) = match ready {
            Ok((checks, Ok(container))) => (Ok((checks, Output::default())), Some(container)),
            Ok((checks, Err(output))) => (Ok((checks, output)), None),
            Err(error) => (Err(error), None),
        };
        self.finish_beside(companions, title, findings, begin.elapsed()).await;
        let Some(container) = container else { return not_ready() };
        match announced {
            Ok((address, hosts)) => {
                let (name, aliases) = (name.to_owned(), spec.aliases.clone());
                let has_ended = Default::default();
                let container = Companion { name, aliases, container, address, hosts, has_ended };
                companions.add(container);
                Ok(())
            }
            Err(error) => {
                self.error(companion_name(name), chain(&error), begin);
                let _ = container.remove().await;
                not_ready()
            }
        }
    }
}
