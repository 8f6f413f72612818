//! A web server of one thread that behaves as badly as a test wants.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With what follows a `?`.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream).lines();
        let first = lines.next()?.ok()?;
        let mut words = first.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = Vec::new();
        for line in lines {
            let line = line.ok()?;
            let Some((key, value)) = line.split_once(':') else {
                break;
            };
            headers.push((key.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Some(Self {
            method,
            path,
            headers,
        })
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// The `Content-Length`, if it is a lie.
    pub(crate) claimed_len: Option<u64>,
    /// Whether the length is said at all.
    pub(crate) has_len: bool,
    /// After how many bytes of the body the connection breaks.
    pub(crate) breaks_after: Option<usize>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            claimed_len: None,
            has_len: true,
            breaks_after: None,
        }
    }

    /// The same answer, without a word on its length.
    pub(crate) fn without_len(mut self) -> Self {
        self.has_len = false;
        self
    }

    pub(crate) fn redirect(to: &str) -> Self {
        let mut answer = Self::new(302, "");
        answer.headers.push(("Location", to.to_owned()));
        answer
    }

    /// A file, or the part of it that was asked for, with an `ETag`.
    pub(crate) fn file(request: &Request, bytes: &[u8]) -> Self {
        let etag = format!(
            "\"{:x}\"",
            bytes.iter().fold(7_u64, |hash, &byte| {
                hash.wrapping_mul(31).wrapping_add(u64::from(byte))
            })
        );
        let is_the_same = request.header("if-range").is_none_or(|known| known == etag);
        let range = request.header("range").and_then(|range| {
            let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
            let start: usize = start.parse().ok()?;
            let end = end.parse().map_or(bytes.len(), |end: usize| end + 1);
            Some(start..end.min(bytes.len()))
        });
        let mut answer = match range {
            Some(range) if is_the_same && range.start >= bytes.len() => {
                let mut answer = Self::new(416, "");
                let content = format!("bytes */{}", bytes.len());
                answer.headers.push(("Content-Range", content));
                answer
            }
            Some(range) if is_the_same => {
                let mut answer = Self::new(206, &bytes[range.clone()]);
                let content = format!("bytes {}-{}/{}", range.start, range.end - 1, bytes.len());
                answer.headers.push(("Content-Range", content));
                answer
            }
            _ => Self::new(200, bytes),
        };
        answer.headers.push(("ETag", etag));
        answer
    }

    fn write(&self, method: &str, stream: &mut TcpStream) -> std::io::Result<()> {
        let len = self.claimed_len.unwrap_or(self.body.len() as u64);
        write!(
            stream,
            "HTTP/1.1 {} X\r\nConnection: close\r\n",
            self.status
        )?;
        if self.has_len {
            write!(stream, "Content-Length: {len}\r\n")?;
        }
        for (key, value) in &self.headers {
            write!(stream, "{key}: {value}\r\n")?;
        }
        stream.write_all(b"\r\n")?;
        if method != "HEAD" {
            let len = self
                .breaks_after
                .unwrap_or(self.body.len())
                .min(self.body.len());
            stream.write_all(&self.body[..len])?;
        }
        stream.flush()
    }
}

/// A server on a port of its own, until the tests end.
pub(crate) struct WebServer {
    /// Without a slash at its end.
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl WebServer {
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Some(request) = Request::read(&stream) else {
                    continue;
                };
                log.lock().expect("no panic").push(request.clone());
                // A client that has gone is none of the server's business.
                let _ = answer(&request).write(&request.method, &mut stream);
            }
        });
        Self { url, requests }
    }

    /// Serves a folder's files, and 404.
    pub(crate) fn of_folder(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self::start(move |request| {
            let path = request.path.trim_start_matches('/').replace("%20", " ");
            match std::fs::read(folder.join(path)) {
                Ok(bytes) => Answer::file(request, &bytes),
                Err(_) => Answer::new(404, "<html>no such page</html>"),
            }
        })
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }
}

/// An address where nobody answers: the system gives such ports to no server.
pub(crate) fn closed_port() -> String {
    "http://127.0.0.1:1".to_owned()
}
