//! Starts the containers beside the commands and services of a file: once in an engine, in order.

use std::time::{Duration, Instant};

use super::companions::{Companion, CompanionImage, Companions, Images};
use super::output::Output;
use super::{RuntimeChecks, companion_name, service};
use crate::check::expectations::{CompanionSpec, Expectations, companion};
use crate::engine::Container;
use crate::harness::LoadedImage;
use crate::text::errors::chain;

impl<'a, 'd> RuntimeChecks<'a, 'd> {
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
        let not_ready = || format!("container {name} did not become ready");
        let (begin, title) = (Instant::now(), companion_name(name));
        let (image, user) = match self.image_of(spec, image) {
            Ok(found) => found,
            Err(problem) => {
                self.error(title, problem.to_owned(), begin);
                return Err(not_ready());
            }
        };
        let options = companions.beside(self.image.daemon(), spec.container.options(true)).await;
        if let Some(reason) = self.unsupported_service(&spec.as_service(name), &options) {
            self.skip(title, reason);
            return Err(format!("container {name} was skipped: {reason}"));
        }
        let start = Instant::now();
        let started = match spec.container.restricted_user(user) {
            Some(checks) => Err(Ok((checks, Output::default()))),
            None => image.start(&options).await.map_err(Err),
        };
        let container = match started {
            Ok(container) => container.into_engine_container(),
            Err(findings) => {
                self.finish(title, findings, begin);
                return Err(not_ready());
            }
        };
        let started = Started { begin, start_time: start.elapsed(), container };
        let companion = self.await_ready(image, name, spec, started, companions).await;
        companions.add(companion.ok_or_else(not_ready)?);
        Ok(())
    }

    /// Returns the image of a container and its user: by default, `image`, made from that under
    /// test. An error is the reason why the engine does not have it.
    fn image_of<'i>(
        &self,
        spec: &CompanionSpec,
        image: &'i LoadedImage<'d>,
    ) -> Result<(&'i LoadedImage<'d>, Option<&'i str>), &'i str>
    where
        'a: 'i,
    {
        let images: &'i Images<'d> = self.companion_images;
        match spec.source().and_then(|path| images.get(path)) {
            Some(Ok(CompanionImage { image, user })) => Ok((image, user.as_deref())),
            Some(Err(problem)) => Err(problem),
            None => Ok((image, self.image_user)),
        }
    }

    /// Waits until a started container is ready, and reports it. One that is not ready is removed.
    async fn await_ready(
        &mut self,
        image: &LoadedImage<'d>,
        name: &str,
        spec: &CompanionSpec,
        Started { begin, start_time, container }: Started,
        companions: &Companions,
    ) -> Option<Companion> {
        let service = spec.as_service(name);
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
        let title = companion_name(name);
        self.finish_beside(companions, title.clone(), findings, begin.elapsed()).await;
        let container = container?;
        match announced {
            Ok((address, hosts)) => {
                let (name, aliases) = (name.to_owned(), spec.aliases.clone());
                let has_ended = Default::default();
                Some(Companion { name, aliases, container, address, hosts, has_ended })
            }
            Err(error) => {
                self.error(title, chain(&error), begin);
                let _ = container.remove().await;
                None
            }
        }
    }
}

/// A container that was started.
struct Started {
    /// The begin of its test case.
    begin: Instant,
    /// The time that the engine needed.
    start_time: Duration,
    container: Container,
}
