//! HTTP requests to a service from outside of its container, over connections that the guest
//! carries.

mod answer;
mod client;
mod compare;
mod tls;

use std::time::Duration;

use hyper::Request;
use hyper::http::header;
use tokio::io::{AsyncRead, AsyncWrite};
use url::{Position, Url};

use super::daemon::Daemon;
use super::error::HarnessError;
use super::probe::{self, Probe};
use crate::conditions::HttpExpectations;
use crate::engine::{Clock, Container};
use crate::text;
use crate::vm::instance::FramedStream;

pub(crate) use answer::Answer;
pub(crate) use compare::check_answer;

/// The most redirects that are followed.
const REDIRECTS_MAX: usize = 10;

/// The part of a request that a redirect may change.
struct Target {
    method: String,
    /// The path with the query, as it is sent.
    path: String,
    /// The URL to which redirects are relative.
    url: Url,
    body: Option<String>,
}

/// Connects to ports of a container.
trait Connect {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin;

    fn connect(
        &self,
        port: u16,
    ) -> impl Future<Output = Result<Probe<Self::Stream>, HarnessError>> + Send;
}

/// Connects through the guest.
struct Guest<'a>(&'a Daemon, &'a Container);

impl Connect for Guest<'_> {
    type Stream = FramedStream;

    async fn connect(&self, port: u16) -> Result<Probe<FramedStream>, HarnessError> {
        probe::connect_framed(self.0, self.1, port).await
    }
}

/// Sends the request to the container, and follows redirects if that is wanted.
pub(crate) async fn send(
    daemon: &Daemon,
    container: &Container,
    expected: &HttpExpectations,
) -> Result<Probe<Answer>, HarnessError> {
    send_by(&Guest(daemon, container), daemon.vm().clock(), expected).await
}

async fn send_by(
    ports: &impl Connect,
    clock: &Clock,
    expected: &HttpExpectations,
) -> Result<Probe<Answer>, HarnessError> {
    let deadline = clock.now() + expected.time_limit().duration();
    let incomplete = |problem: String| {
        Ok(Probe::Connected(Answer { problem: Some(problem), ..Answer::default() }))
    };
    let mut target = match Target::first(expected) {
        Ok(target) => target,
        Err(problem) => return incomplete(problem),
    };
    let mut redirects = 0;
    loop {
        let answer = match send_once(ports, clock, deadline, expected, &target).await? {
            Probe::Connected(answer) => answer,
            refused => return Ok(refused),
        };
        if !expected.redirects || answer.problem.is_some() {
            return Ok(Probe::Connected(answer));
        }
        match target.redirected(&answer) {
            Ok(None) => return Ok(Probe::Connected(answer)),
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
) -> Result<Probe<Answer>, HarnessError> {
    let port = target.url.port_or_known_default().unwrap_or(expected.port);
    let stream = match ports.connect(port).await? {
        Probe::Connected(stream) => stream,
        Probe::Refused(problem) => return Ok(Probe::Refused(problem)),
    };
    let mut answer = Answer::default();
    let exchange = async {
        let request = target.request(expected)?;
        let encrypted = target.url.scheme() == "https";
        match expected.tls.as_ref().filter(|_| encrypted) {
            Some(settings) => {
                let stream = tls::connect(stream, settings).await?;
                client::exchange(stream, request, &mut answer).await
            }
            None => client::exchange(stream, request, &mut answer).await,
        }
    };
    let left = deadline.saturating_sub(clock.now());
    let result = clock.timeout(left, exchange).await;
    answer.is_late = result.is_none();
    answer.problem = match result {
        Some(result) => result.err(),
        None => Some(format!("it was not complete after {}", expected.time_limit())),
    };
    Ok(Probe::Connected(answer))
}

impl Target {
    /// The target of the first request. Its path is sent as it is written: a server must get the
    /// dots of `/static/../secret`, which a `Url` does not keep.
    fn first(expected: &HttpExpectations) -> Result<Self, String> {
        if let Some(mistake) = expected.path_mistake() {
            return Err(mistake);
        }
        let scheme = if expected.tls.is_some() { "https" } else { "http" };
        let path = expected.path().to_owned();
        let url = Url::parse(&format!("{scheme}://localhost:{}{path}", expected.port));
        let url = url.map_err(|error| format!("invalid path {}: {error}", text::quote(&path)))?;
        let (method, body) = (expected.method().to_owned(), expected.request_body.clone());
        Ok(Self { method, path, url, body })
    }

    fn request(&self, expected: &HttpExpectations) -> Result<Request<String>, String> {
        let host = match self.url.port() {
            Some(port) => format!("localhost:{port}"),
            None => "localhost".to_owned(),
        };
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(self.path.as_str())
            .header(header::HOST, host)
            .header(header::USER_AGENT, "seatrial")
            .header(header::ACCEPT, "*/*");
        if let Some(headers) = request.headers_mut() {
            for (name, value) in &expected.request_headers {
                let name = name.parse::<header::HeaderName>();
                let (Ok(name), Ok(value)) = (name, value.parse()) else { continue };
                headers.insert(name, value);
            }
        }
        request.body(self.body.clone().unwrap_or_default()).map_err(|error| error.to_string())
    }

    /// Returns where `answer` redirects to, if it does (RFC 9110, section 15.4).
    fn redirected(&self, answer: &Answer) -> Result<Option<Self>, String> {
        let Some(status) = answer.status else { return Ok(None) };
        let keeps_method = match status.as_u16() {
            301 | 302 => self.method != "POST",
            303 => self.method == "HEAD",
            307 | 308 => true,
            _ => return Ok(None),
        };
        let Some(location) = answer.headers.get(header::LOCATION) else { return Ok(None) };
        let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
        let url = self.url.join(&location);
        let url =
            url.map_err(|error| format!("it redirects to {}: {error}", text::quote(&location)))?;
        let within = url.host_str() == Some("localhost");
        let same = within && url.scheme() == self.url.scheme();
        if within && !same && url.scheme() == "https" {
            let problem = "a redirect from http to https is not followed; leave out redirects \
                           (in a goss file, write no-follow-redirects: true), and expect its \
                           status and the header Location";
            return Err(format!("it redirects to {}; {problem}", text::quote(&location)));
        }
        if !same {
            let problem = "outside of the service, which is localhost over the same protocol";
            return Err(format!("it redirects to {}, {problem}", text::quote(&location)));
        }
        let (method, body) = match keeps_method {
            true => (self.method.clone(), self.body.clone()),
            false => ("GET".to_owned(), None),
        };
        let path = url[Position::BeforePath..Position::AfterQuery].to_owned();
        Ok(Some(Self { method, path, url, body }))
    }
}

#[cfg(test)]
mod tests {
    use hyper::http::StatusCode;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};

    use super::*;
    use crate::conditions::Timeout;

    /// A server that redirects each request to the URL, while a second passes.
    struct Redirects(Arc<AtomicU64>, &'static str);

    impl Connect for Redirects {
        type Stream = DuplexStream;

        async fn connect(&self, _: u16) -> Result<Probe<DuplexStream>, HarnessError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let (client, mut server) = tokio::io::duplex(1 << 16);
            let url = self.1;
            let answer =
                format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n");
            tokio::spawn(async move {
                server.write_all(answer.as_bytes()).await.unwrap();
                server.read_to_end(&mut Vec::new()).await
            });
            Ok(Probe::Connected(client))
        }
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
            let Probe::Connected(answer) = send_by(&server, &clock, &request).await.unwrap() else {
                panic!("refused")
            };
            assert_eq!(answer.problem.as_deref(), Some(expected));
            assert_eq!(answer.is_late, limit == 5);
        }
    }

    fn redirect(method: &str, status: u16, location: &str) -> Result<Option<String>, String> {
        let target = Target::first(&HttpExpectations {
            method: Some(method.to_owned()),
            path: Some("/a/b?c=d".to_owned()),
            request_body: Some("body".to_owned()),
            port: 8080,
            ..HttpExpectations::default()
        });
        let target = target.unwrap();
        let mut answer = Answer { status: StatusCode::from_u16(status).ok(), ..Answer::default() };
        answer.headers.insert(header::LOCATION, location.parse().unwrap());
        let next = target.redirected(&answer)?;
        Ok(next.map(|Target { method, path, url, body }| {
            assert!(url.as_str().ends_with(&path), "{url} {path}");
            format!("{method} {url} {}", body.unwrap_or_default())
        }))
    }

    /// The first line that a server gets for a request for `path`.
    async fn line_sent_for(path: &str) -> String {
        let expected = HttpExpectations {
            port: 80,
            path: Some(path.to_owned()),
            ..HttpExpectations::default()
        };
        let request = Target::first(&expected).unwrap().request(&expected).unwrap();
        let (client, server) = tokio::io::duplex(1 << 16);
        let server = tokio::spawn(async move {
            let mut line = String::new();
            BufReader::new(server).read_line(&mut line).await.unwrap();
            line
        });
        let _ = client::exchange(client, request, &mut Answer::default()).await;
        server.await.unwrap()
    }

    #[tokio::test]
    async fn the_path_of_a_request_arrives_as_it_is_written() {
        for path in [
            "/static/../../etc/passwd",
            "/static/%2e%2e/%2E%2E/etc/passwd",
            "/a\\..\\b",
            "//example.com/./x",
            "/a//b/.?c=../d&e={f}",
            "/%C3%BC",
        ] {
            assert_eq!(line_sent_for(path).await, format!("GET {path} HTTP/1.1\r\n"));
        }
    }

    #[test]
    fn redirects_change_path_and_method_as_in_rfc_9110() {
        for (method, status, location, expected) in [
            ("GET", 301, "/login", "GET http://localhost:8080/login body"),
            ("GET", 302, "x?y=z", "GET http://localhost:8080/a/x?y=z body"),
            ("POST", 302, "/", "GET http://localhost:8080/ "),
            ("PUT", 303, "/", "GET http://localhost:8080/ "),
            ("POST", 307, "/", "POST http://localhost:8080/ body"),
            ("POST", 308, "http://localhost:9090/", "POST http://localhost:9090/ body"),
        ] {
            assert_eq!(redirect(method, status, location), Ok(Some(expected.to_owned())));
        }
        assert_eq!(redirect("GET", 200, "/"), Ok(None));
        assert_eq!(redirect("GET", 304, "/"), Ok(None));
    }

    #[tokio::test]
    async fn a_redirect_to_https_can_be_expected_as_its_error_advises() {
        let answer = |redirects: bool| async move {
            let request = HttpExpectations { port: 80, redirects, ..HttpExpectations::default() };
            let seconds = Arc::new(AtomicU64::new(0));
            let server = Redirects(Arc::clone(&seconds), "https://localhost/");
            let clock = Clock::new(move || Duration::from_secs(seconds.load(Ordering::Relaxed)));
            match send_by(&server, &clock, &request).await.unwrap() {
                Probe::Connected(answer) => answer,
                Probe::Refused(problem) => panic!("{problem}"),
            }
        };
        let problem = answer(true).await.problem.unwrap();
        assert!(problem.contains("leave out redirects"), "{problem}");
        let answer = answer(false).await;
        assert_eq!((answer.status, answer.problem), (Some(StatusCode::FOUND), None));
        assert_eq!(answer.headers[header::LOCATION], "https://localhost/");
    }

    #[test]
    fn a_redirect_to_another_host_is_an_error_that_names_it() {
        let error = redirect("GET", 301, "https://localhost:8443/").unwrap_err();
        let expected = "it redirects to \"https://localhost:8443/\"; a redirect from http to https \
                        is not followed; leave out redirects (in a goss file, write \
                        no-follow-redirects: true), and expect its status and the header Location";
        assert_eq!(error, expected);
        for location in ["https://example.com/", "ftp://localhost/", "//example.com"] {
            let error = redirect("GET", 301, location).unwrap_err();
            assert!(
                error.contains(location) && error.contains("outside of the service"),
                "{error}"
            );
        }
    }
}
