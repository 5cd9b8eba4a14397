//! A hub on this machine: an endpoint that knows files, and another host that has their contents.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as it came in. Names of headers are in lower case.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
}

/// What comes back.
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// Whether the body's length is said.
    sized: bool,
    /// How much of the body is sent, and what the connection does then.
    end: Option<(usize, Silence)>,
    /// Whether the head is sent a byte at a time.
    slow_head: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Silence {
    Closed,
    Stalled,
    /// The rest comes a byte at a time.
    Dripping,
}

impl Answer {
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), sized: true, end: None, slow_head: false }
    }

    pub fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Ends with the connection.
    pub fn unsized_body(self) -> Self {
        Self { sized: false, ..self }
    }

    pub fn slow_head(self) -> Self {
        Self { slow_head: true, ..self }
    }

    pub fn cut(mut self, after: usize, silence: Silence) -> Self {
        self.end = Some((after, silence));
        self
    }
}

type Handler = dyn Fn(&Seen) -> Answer + Send + Sync;

/// Answers on a port of its own until the tests end.
#[derive(Clone)]
pub struct Server {
    pub address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub fn new(handler: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = format!("http://{}", listener.local_addr().expect("it is bound"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, handler): (_, Arc<Handler>) = (seen.clone(), Arc::new(handler));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, handler) = (log.clone(), handler.clone());
                // A client that has gone is no failure of the server.
                thread::spawn(move || drop(answer(stream, &log, &*handler)));
            }
        });
        Self { address, seen }
    }

    /// What was asked since the last call.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().expect("no test panics with it"))
    }
}

fn answer(stream: TcpStream, log: &Mutex<Vec<Seen>>, handler: &Handler) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut words = first.split(' ').map(str::to_string);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_string());
    }
    let seen = Seen { method, path, headers };
    log.lock().expect("no test panics with it").push(seen.clone());
    let Answer { status, headers, body, sized, end, slow_head } = handler(&seen);
    let mut text = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
    for (name, value) in &headers {
        text += &format!("{name}: {value}\r\n");
    }
    if sized {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    let mut stream = stream;
    if slow_head {
        drip(&mut stream, format!("{text}\r\n").as_bytes())?;
    } else if status > 0 {
        stream.write_all(format!("{text}\r\n").as_bytes())?;
    }
    if seen.method != "HEAD" {
        let after = end.map_or(body.len(), |(after, _)| after);
        stream.write_all(&body[..after])?;
        if end.is_some_and(|(_, silence)| silence == Silence::Dripping) {
            drip(&mut stream, &body[after..])?;
        }
    }
    if end.is_some_and(|(_, silence)| silence == Silence::Stalled) {
        // Until the client has had enough.
        stream.read_to_end(&mut Vec::new())?;
    }
    Ok(())
}

/// Sends a byte every now and then, until all are sent or the client has gone.
fn drip(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte])?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The contents' name as a large file.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A repository. Files whose names end in `.safetensors` are large: their contents are on another host.
#[derive(Default)]
pub struct Repository {
    pub files: BTreeMap<&'static str, Vec<u8>>,
    /// What the other host does with its first requests, in order.
    pub mishaps: Mutex<Vec<Mishap>>,
}

#[derive(Clone, Copy, Debug)]
pub enum Mishap {
    /// The connection ends, falls silent or slows down after this much of the body.
    Cut(usize, Silence),
    /// A request for a part has the whole for an answer.
    IgnoresRange,
    /// One bit of the contents is another.
    Corrupt,
    /// The contents end with more, or less, than was said.
    Longer,
    LongerUnsaid,
    Shorter,
}

/// A hub with the repository `timm/net`: its endpoint, and the other host.
pub fn hub(repository: Repository) -> (Server, Server) {
    hub_of("net", repository)
}

/// A hub with the repository `timm/<name>`.
pub fn hub_of(repository_name: &'static str, repository: Repository) -> (Server, Server) {
    let repository = Arc::new(repository);
    let contents = repository.clone();
    let elsewhere = Server::new(move |seen| {
        let Some(bytes) = contents.files.get(seen.path.trim_start_matches("/contents/")) else {
            return Answer::new(404);
        };
        let mut mishaps = contents.mishaps.lock().expect("no test panics with it");
        let mishap = if mishaps.is_empty() { None } else { Some(mishaps.remove(0)) };
        let mut bytes = bytes.clone();
        match mishap {
            Some(Mishap::Corrupt) => *bytes.last_mut().expect("large files have bytes") ^= 1,
            Some(Mishap::Longer | Mishap::LongerUnsaid) => bytes.push(0),
            Some(Mishap::Shorter) => drop(bytes.pop()),
            _ => {}
        }
        let range = seen.headers.get("range").map(|range| range.trim_start_matches("bytes=").trim_end_matches('-'));
        let answer = match range.filter(|_| !matches!(mishap, Some(Mishap::IgnoresRange))) {
            Some(from) => {
                let from: usize = from.parse().expect("ranges are open at the end");
                let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
                Answer::new(206).header("Content-Range", range).body(&bytes[from..])
            }
            None => Answer::new(200).body(bytes),
        };
        match mishap {
            Some(Mishap::Cut(after, silence)) => answer.cut(after, silence),
            Some(Mishap::LongerUnsaid) => answer.unsized_body(),
            _ => answer,
        }
    });
    let address = elsewhere.address.clone();
    let endpoint = Server::new(move |seen| {
        let small = seen.path.strip_prefix("/small/").and_then(|name| Some((name, repository.files.get(name)?)));
        if let Some((name, bytes)) = small {
            return Answer::new(200).header("ETag", format!("\"small-{}\"", name.len())).body(bytes.clone());
        }
        let parts: Vec<&str> = seen.path.split('/').collect();
        let ["", "timm", asked, "resolve", revision, name] = parts[..] else {
            return Answer::new(404).header("X-Error-Code", "RepoNotFound");
        };
        if asked != repository_name {
            return Answer::new(404).header("X-Error-Code", "RepoNotFound");
        }
        if !["main", COMMIT, "refs%2Fpr%2F1"].contains(&revision) {
            return Answer::new(404).header("X-Error-Code", "RevisionNotFound");
        }
        let Some(bytes) = repository.files.get(name) else {
            return Answer::new(404).header("X-Error-Code", "EntryNotFound").header("X-Repo-Commit", COMMIT);
        };
        if name.ends_with(".safetensors") {
            return Answer::new(302)
                .header("Location", format!("{address}/contents/{name}"))
                .header("X-Repo-Commit", COMMIT)
                .header("X-Linked-Size", bytes.len())
                .header("X-Linked-Etag", format!("\"{}\"", sha256(bytes)))
                .header("ETag", "\"of-the-redirect\"");
        }
        Answer::new(307).header("Location", format!("/small/{name}")).header("X-Repo-Commit", COMMIT)
    });
    (endpoint, elsewhere)
}
