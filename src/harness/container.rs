//! A container of a loaded image.

use std::time::Duration;

use tokio::net::TcpStream;

use super::container_files;
use super::container_port;
use super::daemon::Daemon;
use super::describe::{describe_end_and_output, describe_output};
use super::end_notice::EndNotice;
use super::error::HarnessError;
use super::exits;
use super::forwarded_port::ForwardedPort;
use super::line_ends::LineEnds;
use super::log_stream::LogStream;
use super::ready::{DEFAULT_READY_TIMEOUT, Readiness, Starting};
use crate::conditions::{Port, ReadyConditions};
use crate::engine::{self, EngineError, ExecOptions, FileToCopy, RunOptions, RunOutput, State};
use crate::text;
use crate::vm::instance::Reached;

/// The largest file that is copied out of a container, in bytes.
const FILE_MAX: usize = 256 << 20;
/// The time limit for reading the output of a container that has exited.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(60);
/// The time in which the exit of a container that was stopped is reported.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// A container that was started. It exists until it is removed, or its VM ends.
#[derive(Debug)]
pub struct Container<'d> {
    daemon: &'d Daemon,
    image: String,
    container: engine::Container,
    line_ends: LineEnds,
    /// The folders of the guest that only this container has.
    folders: Vec<String>,
}

impl<'d> Container<'d> {
    /// A container of `image` that was started with `options`, and has `folders` of the guest.
    pub(super) fn new(
        daemon: &'d Daemon,
        image: String,
        container: engine::Container,
        (options, folders): (&RunOptions, Vec<String>),
    ) -> Self {
        let line_ends = LineEnds::new(daemon.engine(), options.settings.tty);
        Self { daemon, image, container, line_ends, folders }
    }

    /// Returns the engine that the container runs on.
    pub fn daemon(&self) -> &'d Daemon {
        self.daemon
    }

    /// Returns the container as the engine knows it.
    pub fn engine_container(&self) -> &engine::Container {
        &self.container
    }

    /// Returns the container as the engine knows it.
    pub fn into_engine_container(self) -> engine::Container {
        self.container
    }

    /// Waits until the container meets all `conditions`. Returns at once if it ends.
    ///
    /// # Errors
    /// If the container ends, or a condition is not met in time
    /// ([`NotReady`](HarnessError::NotReady)), or the engine has no health checks of images, or no
    /// container can meet a condition ([`InvalidConditions`](HarnessError::InvalidConditions)): a
    /// path with spaces, for example, or a certificate to verify without an authority.
    pub async fn wait_until_ready(&self, conditions: &ReadyConditions) -> Result<(), HarnessError> {
        if let Some(mistake) = conditions.mistake() {
            return Err(HarnessError::InvalidConditions(mistake));
        }
        if let (Some(reason), Some(true)) =
            (self.daemon.health_check_unsupported(), conditions.healthy)
        {
            return Err(EngineError::Unsupported(reason).into());
        }
        let end = EndNotice::new(&self.container);
        let starting = Starting {
            daemon: self.daemon,
            container: &self.container,
            line_ends: self.line_ends,
            end: &end,
        };
        let problem = match starting.wait(conditions, false).await? {
            Readiness::Ready => return Ok(()),
            Readiness::Unmet(unmet) => {
                let timeout = conditions.timeout.unwrap_or(DEFAULT_READY_TIMEOUT);
                format!("timed out after {timeout}: {}", text::ends(&unmet.to_string()))
            }
            Readiness::Ended(state) => describe_end_and_output(&self.container, &state).await,
        };
        Err(HarnessError::NotReady { image: self.image.clone(), problem })
    }

    /// Runs `command` in the running container as the container's user, and returns its exit code
    /// and output.
    ///
    /// # Errors
    /// If the command cannot be started, prints more than 16 MiB, or runs longer than `limit`. The
    /// last is the engine's error [`StillRunning`](engine::EngineError::StillRunning) in
    /// [`HarnessError::Engine`].
    pub async fn exec(&self, command: &[&str], limit: Duration) -> Result<RunOutput, HarnessError> {
        self.exec_with(&ExecOptions::command(command.iter().copied()), limit).await
    }

    /// Like [`exec`](Self::exec), with a user, variables, a working directory or standard input.
    ///
    /// # Errors
    /// Like [`exec`](Self::exec), and over CRI, which has none of these. There, a shell in the
    /// container can set variables and the working directory.
    pub async fn exec_with(
        &self,
        options: &ExecOptions,
        limit: Duration,
    ) -> Result<RunOutput, HarnessError> {
        Ok(self.container.exec_within(options, limit, self.daemon.vm().clock()).await?)
    }

    /// Makes a port of the container reachable on this host: a number is a TCP port, and
    /// [`Port::udp`] a UDP port. The container must have a network. Works on every engine, and also
    /// for ports that the image does not expose. A TCP client that closes its sending side before
    /// the answer has ended loses the rest of the answer.
    ///
    /// # Errors
    /// If the container has no address, or the guest does not carry connections.
    pub async fn forward(&self, port: impl Into<Port>) -> Result<ForwardedPort, HarnessError> {
        ForwardedPort::new(self.daemon, &self.container, port.into()).await
    }

    /// Connects to a TCP port of the container. The container must have a network.
    ///
    /// # Errors
    /// If the port does not accept the connection.
    pub async fn connect(&self, port: u16) -> Result<TcpStream, HarnessError> {
        match container_port::connect(self.daemon, &self.container, port).await? {
            Reached::Connected(stream) => Ok(stream),
            Reached::Refused(problem) => {
                Err(HarnessError::Refused { image: self.image.clone(), port, problem })
            }
        }
    }

    /// Writes `content` to a file at `path`, an absolute path in the container. Its owner is root.
    /// Folders that do not exist are created, and what is at the path is replaced. Over CRI, a
    /// program in the guest writes the file, where the container's first process finds the path.
    ///
    /// # Errors
    /// If the engine rejects the file. Over CRI, also if it is larger than 32 MiB, there is a
    /// folder at the path, or the container has ended.
    pub async fn copy_in(
        &self,
        path: &str,
        content: impl Into<Vec<u8>>,
        mode: u32,
    ) -> Result<(), HarnessError> {
        let file = FileToCopy { path: path.to_owned(), content: content.into(), mode };
        container_files::copy_in(self.daemon, &self.container, file).await
    }

    /// Returns the content of the file at `path`, an absolute path in the container; `None` if it
    /// does not exist. Symlinks are followed, within the container.
    ///
    /// While the container runs, files are those that its first process sees, also below `/proc`
    /// and of tmpfs mounts. Docker and Podman keep the files of the container itself, of its
    /// volumes and of its mounts when it ends.
    ///
    /// # Errors
    /// If it is not a regular file, or is larger than 256 MiB; over CRI, also if the container has
    /// ended.
    pub async fn copy_out(&self, path: &str) -> Result<Option<Vec<u8>>, HarnessError> {
        container_files::content(self.daemon, &self.container, path, FILE_MAX).await
    }

    /// Returns standard output and standard error up to now.
    ///
    /// # Errors
    /// If the request fails, or the output is larger than 16 MiB.
    /// [`follow_logs`](Self::follow_logs) has no such limit.
    pub async fn logs(&self) -> Result<(String, String), HarnessError> {
        Ok(self.container.logs().await?)
    }

    /// Returns the output from its beginning, as it arrives, until the container ends. It may run
    /// for `limit` at most.
    pub fn follow_logs(&self, limit: Duration) -> LogStream {
        let clock = self.daemon.vm().clock().clone();
        LogStream::new(self.container.follow_logs(), self.image.clone(), clock, limit)
    }

    /// Returns the current state.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn state(&self) -> Result<State, HarnessError> {
        exits::state(self.daemon, &self.container).await
    }

    /// Returns the IP address, which the guest and the other containers reach.
    ///
    /// # Errors
    /// If the container has no address, or the request fails.
    pub async fn address(&self) -> Result<String, HarnessError> {
        Ok(self.container.address().await?)
    }

    /// Sends a signal, such as `SIGHUP`, to the container's command.
    ///
    /// # Errors
    /// If the request fails, or the engine sends only the stop signal.
    pub async fn signal(&self, signal: &str) -> Result<(), HarnessError> {
        Ok(self.container.signal(signal).await?)
    }

    /// Sends the image's stop signal, kills the container if it has not exited after `grace`, and
    /// returns its exit code and output.
    ///
    /// # Errors
    /// If a request fails, or the output is larger than 16 MiB.
    pub async fn stop(&self, grace: Duration) -> Result<RunOutput, HarnessError> {
        self.container.stop(grace).await?;
        self.wait(STOP_TIMEOUT).await
    }

    /// Waits until the container exits, for `limit` at most, and returns its exit code and output.
    ///
    /// # Errors
    /// If the container still runs then ([`StillRunning`](HarnessError::StillRunning), with the end
    /// of its output), a request fails, or the output is larger than 16 MiB. A container that still
    /// runs is not removed, so that this can be called again.
    pub async fn wait(&self, limit: Duration) -> Result<RunOutput, HarnessError> {
        let (clock, action) = (self.daemon.vm().clock(), format!("wait for {}", self.image));
        let wait = Box::pin(async {
            let output = self.container.wait_within(limit, clock, &action).await?;
            Ok(exits::completed(self.daemon, self.container.id(), output).await)
        });
        match self.daemon.watched(&action, limit.saturating_add(OUTPUT_TIMEOUT), wait).await {
            Err(HarnessError::Engine(EngineError::StillRunning { stdout, stderr, .. })) => {
                let output = describe_output(&stdout, &stderr);
                Err(HarnessError::StillRunning { image: self.image.clone(), limit, output })
            }
            ended => ended,
        }
    }

    /// Removes the container, its volumes, and the copies of files of this host that were mounted
    /// read-only. A running container is killed.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn remove(self) -> Result<(), HarnessError> {
        self.container.remove().await?;
        self.daemon.remove_folders_of_container(&self.folders).await;
        Ok(())
    }

    /// Like [`remove`](Self::remove), and returns `result`. If that is an error, it is returned
    /// even if the container cannot be removed, because it came first.
    pub(crate) async fn remove_after<T>(
        self,
        result: Result<T, HarnessError>,
    ) -> Result<T, HarnessError> {
        let result = self.container.remove_after(result).await;
        self.daemon.remove_folders_after(&result, &self.folders).await;
        result
    }
}
