//! The target of a request, and redirects to other ones.

use hyper::Request;
use hyper::http::header;
use url::{Position, Url};

use super::answer::Answer;
use crate::conditions::HttpExpectations;
use crate::text;

/// Why a redirect to HTTPS is an error, after its location.
const TO_HTTPS: &str = "; a redirect from http to https is not followed; leave out redirects (in a \
                        goss file, write no-follow-redirects: true), and expect its status and the \
                        header Location";
/// Why any other redirect out of the service is an error.
const ELSEWHERE: &str = ", outside of the service, which is localhost over the same protocol";

/// The part of a request that a redirect may change.
pub(super) struct Target {
    method: String,
    /// The path with the query, as it is sent.
    path: String,
    /// The URL to which redirects are relative. It has a port or a scheme with one.
    url: Url,
    body: Option<String>,
}

impl Target {
    /// The target of the first request. Its path is sent as it is written: a server must get the
    /// dots of `/static/../secret`, which a `Url` does not keep.
    pub(super) fn first(expected: &HttpExpectations) -> Result<Self, String> {
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

    /// The port of the service.
    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// Whether the connection is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Returns the request, with the headers of `expected`.
    pub(super) fn request(&self, expected: &HttpExpectations) -> Result<Request<String>, String> {
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
    pub(super) fn redirected(&self, answer: &Answer) -> Result<Option<Self>, String> {
        let Some(status) = answer.status else { return Ok(None) };
        let keeps_method = match status.as_u16() {
            301 | 302 => self.method != "POST",
            303 => self.method == "HEAD",
            307 | 308 => true,
            _ => return Ok(None),
        };
        let Some(location) = answer.headers.get(header::LOCATION) else { return Ok(None) };
        let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
        let url = self.within_service(&location);
        let url =
            url.map_err(|problem| format!("it redirects to {}{problem}", text::quote(&location)))?;
        let (method, body) = match keeps_method {
            true => (self.method.clone(), self.body.clone()),
            false => ("GET".to_owned(), None),
        };
        let path = url[Position::BeforePath..Position::AfterQuery].to_owned();
        Ok(Some(Self { method, path, url, body }))
    }

    /// Parses the URL of a redirect, which must stay within the service. An error follows the
    /// location in a sentence.
    fn within_service(&self, location: &str) -> Result<Url, String> {
        let url = self.url.join(location).map_err(|error| format!(": {error}"))?;
        let is_local = url.host_str() == Some("localhost");
        match url.scheme() {
            scheme if is_local && scheme == self.url.scheme() => Ok(url),
            "https" if is_local => Err(TO_HTTPS.to_owned()),
            _ => Err(ELSEWHERE.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::http::StatusCode;
    use tokio::io::{AsyncBufReadExt, BufReader};

    use super::*;
    use crate::harness::http::client;

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
        let _ = client::exchange(client, request, |_| true, &mut Answer::default()).await;
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
