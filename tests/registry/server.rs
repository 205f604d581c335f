//! A small HTTP/1.1 server, whose handler sees every request and decides about the answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        self.headers.iter().find(named).map(|(_, value)| value.as_str())
    }
}

/// The server's reaction to a request.
#[derive(Clone, Debug)]
pub enum Reply {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// An answer whose body ends after the given number of bytes.
    Cut(u16, Vec<(String, String)>, Vec<u8>, usize),
    /// These bytes, as they are.
    Raw(Vec<u8>),
    /// An answer whose body comes byte by byte, until the client closes the connection.
    Creep(Vec<u8>),
    /// The connection closes without an answer.
    Close,
    /// Nothing, until the client closes the connection.
    Silence,
}

impl Reply {
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self::Answer { status, headers: headers.iter().map(owned).collect(), body: body.into() }
    }
}

/// A running server. It ends with the test.
pub struct Server {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

impl Server {
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, handler): (_, Arc<Handler>) = (Arc::clone(&requests), Arc::new(handler));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, handler) = (Arc::clone(&seen), Arc::clone(&handler));
                thread::spawn(move || serve(stream, &seen, &*handler));
            }
        });
        Self { address, requests }
    }

    /// A server with TLS. The header `client-certificate` of a request says that the client has
    /// presented one.
    pub fn with_tls(
        config: ServerConfig,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, config) = (Arc::clone(&requests), Arc::new(config));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut tls = BufReader::new(StreamOwned::new(connection, stream));
                // The client may refuse the certificate.
                if tls.fill_buf().is_err() {
                    continue;
                }
                let Some(mut request) = read(&mut tls) else { continue };
                let tls = tls.get_mut();
                if tls.conn.peer_certificates().is_some() {
                    request.headers.push(("client-certificate".to_owned(), "yes".to_owned()));
                }
                seen.lock().unwrap().push(request.clone());
                if let Reply::Answer { status, headers, body } = handler(&request) {
                    let sent = if request.method == "HEAD" { &[] } else { &*body };
                    write(&mut *tls, status, &headers, body.len(), sent);
                }
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        });
        Self { address, requests }
    }

    /// A server before the one at `upstream`, which answers what `fault` does not.
    pub fn before(
        upstream: SocketAddr,
        fault: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |request| fault(request).unwrap_or_else(|| forward(upstream, request)))
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The requests with `method` whose target contains `part`.
    pub fn count(&self, method: &str, part: &str) -> usize {
        let matches =
            |request: &&Request| request.method == method && request.target.contains(part);
        self.requests().iter().filter(matches).count()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Request>>, handler: &Handler) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let Some(request) = read(&mut reader) else { return };
    seen.lock().unwrap().push(request.clone());
    let head_only = request.method == "HEAD";
    match handler(&request) {
        Reply::Answer { status, headers, body } => {
            let sent = if head_only { &[] } else { &*body };
            write(&stream, status, &headers, body.len(), sent);
        }
        Reply::Cut(status, headers, body, end) => {
            write(&stream, status, &headers, body.len(), &body[..end]);
        }
        Reply::Raw(bytes) => drop((&stream).write_all(&bytes)),
        Reply::Creep(body) => {
            write(&stream, 200, &[], body.len(), &[]);
            stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            for byte in body {
                let _ = (&stream).write_all(&[byte]);
                if matches!(reader.read(&mut [0; 1]), Ok(0)) {
                    break;
                }
            }
        }
        Reply::Close => {}
        Reply::Silence => drop(reader.read(&mut [0; 1])),
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let headers = read_headers(reader);
    let mut request = Request { method, target, headers, body: Vec::new() };
    let length = request.header("content-length").and_then(|text| text.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    request.body = body;
    Some(request)
}

fn read_headers(reader: &mut impl BufRead) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => return headers,
        }
    }
}

fn write(
    mut stream: impl Write,
    status: u16,
    headers: &[(String, String)],
    length: usize,
    body: &[u8],
) {
    let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
    let own = ["connection", "content-length", "transfer-encoding"];
    for (name, value) in
        headers.iter().filter(|(name, _)| !own.contains(&name.to_ascii_lowercase().as_str()))
    {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if status != 204 {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    // The client may have gone.
    let _ = stream.write_all(format!("{head}\r\n").as_bytes());
    let _ = stream.write_all(body);
}

/// Sends `request` to another server, and returns its answer.
pub fn forward(upstream: SocketAddr, request: &Request) -> Reply {
    let stream = TcpStream::connect(upstream).unwrap();
    let mut head =
        format!("{} {} HTTP/1.1\r\nConnection: close\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        if !name.eq_ignore_ascii_case("connection") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    (&stream).write_all(format!("{head}\r\n").as_bytes()).unwrap();
    // The server may answer before it has read everything.
    let _ = (&stream).write_all(&request.body);
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let headers = read_headers(&mut reader);
    let named = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let mut body = Vec::new();
    if request.method == "HEAD" {
        // Only the length is passed on.
        let length = named("content-length").and_then(|(_, value)| value.parse().ok());
        body = vec![0; length.unwrap_or(0)];
    } else if let Some((_, length)) = named("content-length") {
        body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
    } else if status != 204 {
        reader.read_to_end(&mut body).unwrap();
        if named("transfer-encoding").is_some() {
            body = unchunked(&body);
        }
    }
    Reply::Answer { status, headers, body }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
}
