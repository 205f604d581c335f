//! HTTP requests to a service from outside of its container, over connections that the guest
//! carries.

mod answer;
mod client;
mod compare;
mod handshake;
mod json;
mod target;
mod tls;

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use self::target::Target;
use super::container_port;
use super::daemon::Daemon;
use super::error::HarnessError;
use crate::conditions::HttpExpectations;
use crate::engine::{Clock, Container};
use crate::vm::instance::{FramedStream, Reached};

pub(crate) use answer::Answer;
pub(crate) use compare::check_answer;

/// The most redirects that are followed.
const REDIRECTS_MAX: usize = 10;

/// Connects to ports of a container.
trait Connect {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin;

    fn connect(
        &self,
        port: u16,
    ) -> impl Future<Output = Result<Reached<Self::Stream>, HarnessError>> + Send;
}

/// Connects through the guest.
struct Guest<'a>(&'a Daemon, &'a Container);

impl Connect for Guest<'_> {
    type Stream = FramedStream;

    async fn connect(&self, port: u16) -> Result<Reached<FramedStream>, HarnessError> {
        container_port::connect_framed(self.0, self.1, port).await
    }
}

/// Sends the request to the container, and follows redirects if that is wanted.
pub(crate) async fn send(
    daemon: &Daemon,
    container: &Container,
    expected: &HttpExpectations,
) -> Result<Reached<Answer>, HarnessError> {
    send_by(&Guest(daemon, container), daemon.vm().clock(), expected).await
}

async fn send_by(
    ports: &impl Connect,
    clock: &Clock,
    expected: &HttpExpectations,
) -> Result<Reached<Answer>, HarnessError> {
    let deadline = clock.now() + expected.time_limit().duration();
    let incomplete = |problem: String| {
        Ok(Reached::Connected(Answer { problem: Some(problem), ..Answer::default() }))
    };
    let mut target = match Target::first(expected) {
        Ok(target) => target,
        Err(problem) => return incomplete(problem),
    };
    let mut redirects = 0;
    loop {
        let answer = match send_once(ports, clock, deadline, expected, &target).await? {
            Reached::Connected(answer) => answer,
            refused => return Ok(refused),
        };
        if !expected.redirects || answer.problem.is_some() {
            return Ok(Reached::Connected(answer));
        }
        match target.redirected(&answer) {
            Ok(None) => return Ok(Reached::Connected(answer)),
            Ok(Some(_)) if redirects == REDIRECTS_MAX => {
                return incomplete(format!("more than {REDIRECTS_MAX} redirects"));
            }
            Ok(Some(next)) => target = next,
            Err(problem) => return incomplete(problem),
        }
        redirects += 1;
    }
}

async fn send_once(
    ports: &impl Connect,
    clock: &Clock,
    deadline: Duration,
    expected: &HttpExpectations,
    target: &Target,
) -> Result<Reached<Answer>, HarnessError> {
    let stream = match ports.connect(target.port()).await? {
        Reached::Connected(stream) => stream,
        Reached::Refused(problem) => return Ok(Reached::Refused(problem)),
    };
    let mut answer = Answer::default();
    let exchange = async {
        let request = target.request(expected)?;
        let needs_body = |status| expected.needs_body(status);
        match expected.tls.as_ref().filter(|_| target.is_encrypted()) {
            Some(settings) => {
                let stream = tls::connect(stream, settings).await?;
                client::exchange(stream, request, needs_body, &mut answer).await
            }
            None => client::exchange(stream, request, needs_body, &mut answer).await,
        }
    };
    let left = deadline.saturating_sub(clock.now());
    let result = clock.timeout(left, exchange).await;
    answer.is_late = result.is_none();
    answer.problem = match result {
        Some(result) => result.err(),
        None => Some(format!("it was not complete after {}", expected.time_limit())),
    };
    Ok(Reached::Connected(answer))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use hyper::http::{StatusCode, header};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::conditions::Timeout;

    /// A server that redirects each request to the URL, while a second passes.
    struct Redirects(Arc<AtomicU64>, &'static str);

    impl Connect for Redirects {
        type Stream = DuplexStream;

        async fn connect(&self, _: u16) -> Result<Reached<DuplexStream>, HarnessError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let (client, mut server) = tokio::io::duplex(1 << 16);
            let url = self.1;
            let answer =
                format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n");
            tokio::spawn(async move {
                server.write_all(answer.as_bytes()).await.unwrap();
                server.read_to_end(&mut Vec::new()).await
            });
            Ok(Reached::Connected(client))
        }
    }

    /// A server that answers a request for / with a redirect, and others with status 200. The
    /// bodies never end.
    struct Endless;

    impl Connect for Endless {
        type Stream = DuplexStream;

        async fn connect(&self, _: u16) -> Result<Reached<DuplexStream>, HarnessError> {
            let (client, mut server) = tokio::io::duplex(1 << 16);
            tokio::spawn(async move {
                let mut start = [0; 6];
                server.read_exact(&mut start).await.unwrap();
                let status = match &start {
                    b"GET / " => "302 Found\r\nLocation: /events",
                    _ => "200 OK",
                };
                let head = format!("HTTP/1.1 {status}\r\n\r\nstart");
                server.write_all(head.as_bytes()).await.unwrap();
                server.read_to_end(&mut Vec::new()).await
            });
            Ok(Reached::Connected(client))
        }
    }

    #[tokio::test]
    async fn a_body_of_which_goss_expects_nothing_need_not_end() {
        let begin = std::time::Instant::now();
        let clock = Clock::new(move || begin.elapsed());
        let request = |ignores_body| HttpExpectations {
            port: 80,
            redirects: true,
            ignores_body,
            timeout: Some(Timeout::from_millis(300)),
            ..HttpExpectations::default()
        };
        let mismatches = async |request: HttpExpectations| {
            let Ok(Reached::Connected(answer)) = send_by(&Endless, &clock, &request).await else {
                panic!("no answer")
            };
            let mut checks = crate::conditions::Checks::default();
            check_answer(&request, &answer, &mut checks);
            let shown = |check: &crate::conditions::Check| {
                format!("{}: {} != {}", check.subject, check.expected, check.found)
            };
            checks.mismatches().iter().map(shown).collect::<Vec<_>>()
        };
        assert_eq!(mismatches(request(true)).await, [""; 0]);
        let found = mismatches(request(false)).await;
        assert!(found[1].contains("it was not complete after 0.3 s"), "{found:?}");
        let status = crate::conditions::Statuses::One(404);
        let unexpected = HttpExpectations { status: Some(status), ..request(true) };
        assert_eq!(
            mismatches(unexpected).await,
            ["status of GET / at port 80: 404 != 200; the body is \"start\""]
        );
    }

    #[tokio::test]
    async fn all_redirects_together_have_the_time_of_the_request() {
        for (limit, expected) in
            [(5, "it was not complete after 5 s"), (30, "more than 10 redirects")]
        {
            let seconds = Arc::new(AtomicU64::new(0));
            let server = Redirects(Arc::clone(&seconds), "/");
            let clock = Clock::new(move || Duration::from_secs(seconds.load(Ordering::Relaxed)));
            let request = HttpExpectations {
                port: 80,
                redirects: true,
                timeout: Some(Timeout::from_secs(limit)),
                ..HttpExpectations::default()
            };
            let Reached::Connected(answer) = send_by(&server, &clock, &request).await.unwrap()
            else {
                panic!("refused")
            };
            assert_eq!(answer.problem.as_deref(), Some(expected));
            assert_eq!(answer.is_late, limit == 5);
        }
    }

    #[tokio::test]
    async fn a_redirect_to_https_can_be_expected_as_its_error_advises() {
        let answer = |redirects: bool| async move {
            let request = HttpExpectations { port: 80, redirects, ..HttpExpectations::default() };
            let seconds = Arc::new(AtomicU64::new(0));
            let server = Redirects(Arc::clone(&seconds), "https://localhost/");
            let clock = Clock::new(move || Duration::from_secs(seconds.load(Ordering::Relaxed)));
            match send_by(&server, &clock, &request).await.unwrap() {
                Reached::Connected(answer) => answer,
                Reached::Refused(problem) => panic!("{problem}"),
            }
        };
        let problem = answer(true).await.problem.unwrap();
        assert!(problem.contains("leave out redirects"), "{problem}");
        let answer = answer(false).await;
        assert_eq!((answer.status, answer.problem), (Some(StatusCode::FOUND), None));
        assert_eq!(answer.headers[header::LOCATION], "https://localhost/");
    }
}
