//! Requests to the hub: time limits, redirects, and what its answers mean.

use super::{Failure, HubOptions, download_error, names};
use crate::error::{Error, Result};
use std::io::{self, Read};
use std::time::{Duration, Instant};
use ureq::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LOCATION, RANGE};
use ureq::http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, BodyReader};

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 10;

#[derive(Debug)]
pub(super) struct Http {
    agent: Agent,
    endpoint: String,
    origin: Origin,
    /// The header's value, marked as sensitive.
    token: Option<HeaderValue>,
    /// Over how long the fewest bytes a second are counted.
    window: Duration,
    min_rate: u64,
}

/// What the hub says of a file.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) commit: String,
    /// SHA-256 of the contents of large files, a name for others.
    pub(super) etag: String,
    pub(super) size: u64,
}

/// Contents from a byte on.
pub(super) struct Contents {
    pub(super) from: u64,
    pub(super) reader: Paced<BodyReader<'static>>,
}

/// A reader that fails where too little comes: a time limit for each read alone would let a byte a second pass.
pub(super) struct Paced<R> {
    inner: R,
    window: Duration,
    /// Fewest bytes of a window.
    least: u64,
    /// Time spent waiting, and bytes that came, in this window. What the caller does in between isn't the hub's.
    waited: Duration,
    came: u64,
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let start = Instant::now();
        let count = self.inner.read(into)?;
        self.waited += start.elapsed();
        self.came += count as u64;
        if self.waited >= self.window {
            if count > 0 && self.came < self.least {
                let seconds = self.waited.as_secs_f64();
                let message = format!("too slow: {} bytes in {seconds:.0} s, expected {}", self.came, self.least);
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            (self.waited, self.came) = (Duration::ZERO, 0);
        }
        Ok(count)
    }
}

/// Scheme, host and port.
#[derive(Debug, PartialEq, Eq)]
struct Origin(String, String, u16);

impl Origin {
    fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?;
        let port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?;
        Some(Self(scheme.into(), host.to_ascii_lowercase(), uri.port_u16().unwrap_or(port)))
    }

    fn is_this_machine(&self) -> bool {
        matches!(self.1.as_str(), "localhost" | "127.0.0.1" | "[::1]")
    }
}

impl Http {
    pub(super) fn new(options: &HubOptions) -> Result<Self> {
        let endpoint = options.endpoint.trim_end_matches('/').to_string();
        // Wherever it is: it would end up in messages, and a secret that is spelled badly is one too.
        if endpoint.contains('@') {
            let message = "the hub's address (HF_ENDPOINT) must have no user, no password and no '@': \
                           put the secret into HF_TOKEN";
            return Err(Error::Request(message.into()));
        }
        let origin = endpoint.parse().ok().and_then(|uri| Origin::of(&uri)).ok_or_else(|| {
            Error::Request(format!("the hub's address (HF_ENDPOINT) must be http or https, is {endpoint:?}"))
        })?;
        let token = match &options.token {
            None => None,
            Some(token) => {
                let value = HeaderValue::from_str(&format!("Bearer {}", token.0));
                let mut value =
                    value.map_err(|_| Error::Request("HF_TOKEN has characters that no token has".into()))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let mut config = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            // The system's certificates: there are proxies with ones of their own.
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .user_agent(concat!("excite/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(options.connect_timeout))
            .timeout_connect(Some(options.connect_timeout))
            .timeout_send_request(Some(options.stall_timeout))
            .timeout_recv_response(Some(options.stall_timeout))
            .timeout_per_read(Some(options.stall_timeout));
        if origin.is_this_machine() {
            config = config.proxy(None);
        }
        let (window, min_rate) = (options.stall_timeout, options.min_rate);
        Ok(Self { agent: config.build().new_agent(), endpoint, origin, token, window, min_rate })
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Asks what the file is, without its contents. `hint` says what to do where the hub doesn't answer.
    pub(super) fn find(&self, url: &str, hint: &str) -> Result<Remote, Failure> {
        let mut commit = None;
        let mut etag = None;
        let mut size = None;
        let answered = self.follow(&Method::HEAD, url, 0, hint, |response| {
            let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_string());
            commit = header("x-repo-commit").or(commit.take());
            etag = header("x-linked-etag").or(etag.take());
            size = header("x-linked-size").or(size.take());
            if response.status().is_success() {
                etag = etag.take().or_else(|| header(ETAG.as_str()));
                size = size.take().or_else(|| header(CONTENT_LENGTH.as_str()));
            }
        });
        let commit = commit.filter(|commit| names::is_commit(commit));
        match answered {
            Err(Failure::Absent(error, _)) => return Err(Failure::Absent(error, commit)),
            answered => drop(answered?),
        }
        let etag = etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_string());
        let lacking = |what: &str| download_error(url, format!("the answer has no {what}; is this address a hub's?"));
        Ok(Remote {
            commit: commit.ok_or_else(|| lacking("commit"))?,
            etag: etag.filter(|etag| names::is_etag(etag)).ok_or_else(|| lacking("ETag"))?,
            size: size.and_then(|size| size.parse().ok()).ok_or_else(|| lacking("size"))?,
        })
    }

    /// The contents of `size` bytes from byte `from` on, or from the start where the server won't have that.
    pub(super) fn contents(&self, url: &str, from: u64, size: u64) -> Result<Contents, Failure> {
        let response = self.follow(&Method::GET, url, from, "try again later", |_| {})?;
        let start = match response.status() {
            StatusCode::PARTIAL_CONTENT => range_start(&response),
            StatusCode::OK => Some(0),
            _ => None,
        };
        match start {
            Some(start) if start == from || start == 0 => {
                if let Some(rest) =
                    response.body().content_length().filter(|rest| start.checked_add(*rest) != Some(size))
                {
                    let message = format!("the hub promised {size} bytes and sends {rest} from byte {start} on");
                    return Err(download_error(url, message).into());
                }
                Ok(Contents { from: start, reader: self.paced(response.into_body().into_reader()) })
            }
            _ if from > 0 => self.contents(url, 0, size),
            _ => Err(download_error(url, format!("the hub answers {}", response.status())).into()),
        }
    }

    fn paced<R: Read>(&self, inner: R) -> Paced<R> {
        let least = (self.min_rate as f64 * self.window.as_secs_f64()) as u64;
        Paced { inner, window: self.window, least, waited: Duration::ZERO, came: 0 }
    }

    /// Sends the request, and again where the answer points; `see` has every answer of the endpoint itself. A `HEAD`
    /// doesn't leave the endpoint.
    fn follow(
        &self,
        method: &Method,
        url: &str,
        from: u64,
        hint: &str,
        mut see: impl FnMut(&Response<Body>),
    ) -> Result<Response<Body>, Failure> {
        let fail = |message: String| download_error(url, message);
        let astray = |location: &str| fail(format!("redirects to {location:?}, which is no {} address", self.origin.0));
        let mut uri: Uri = url.parse().map_err(|_| fail("not an address".into()))?;
        for _ in 0..=MOST_REDIRECTS {
            let origin = self.target(&uri).ok_or_else(|| astray(&uri.to_string()))?;
            let home = origin == self.origin;
            let token = self.token.as_ref().filter(|_| home);
            let response = self.send(method, &uri, from, token).map_err(|error| unreachable(url, hint, error))?;
            if home {
                see(&response);
            }
            if !response.status().is_redirection() {
                return self.judge(url, hint, response);
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let location = location.unwrap_or_default();
            uri = join(&uri, location).ok_or_else(|| astray(location))?;
            if method == Method::HEAD && Origin::of(&uri).is_some_and(|next| next != self.origin) {
                return Ok(response);
            }
        }
        Err(fail(format!("redirects more than {MOST_REDIRECTS} times")).into())
    }

    /// Whom the address is of, if it may be asked: not less securely than the endpoint.
    fn target(&self, uri: &Uri) -> Option<Origin> {
        Origin::of(uri).filter(|origin| origin.0 == "https" || self.origin.0 == "http")
    }

    fn send(
        &self,
        method: &Method,
        uri: &Uri,
        from: u64,
        token: Option<&HeaderValue>,
    ) -> Result<Response<Body>, ureq::Error> {
        let mut request = Request::builder().method(method).uri(uri).header(ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token);
        }
        self.agent.run(request.body(())?)
    }

    /// What a status means.
    fn judge(&self, url: &str, hint: &str, response: Response<Body>) -> Result<Response<Body>, Failure> {
        let status = response.status();
        let code = response.headers().get("x-error-code").and_then(|code| code.to_str().ok()).unwrap_or_default();
        let other = |message: &str| Err(Failure::Other(download_error(url, message)));
        let token = match self.token {
            None => "set HF_TOKEN to a token that may read it",
            Some(_) => "the token in HF_TOKEN may not read it",
        };
        match (status.as_u16(), code) {
            (200..=299 | 416, _) => Ok(response),
            (404, "RepoNotFound") => other("the hub has no such repository"),
            (404, "RevisionNotFound") => other("the repository has no such revision"),
            (404, _) => Err(Failure::Absent(download_error(url, "the repository has no such file").into(), None)),
            (401 | 403, "GatedRepo") => {
                other(&format!("the repository is gated ({status}): accept its terms on its page, and {token}"))
            }
            (401 | 403, _) => other(&format!("the repository doesn't exist or is private ({status}): {token}")),
            (429 | 500..=599, _) => {
                Err(Failure::Unreachable(download_error(url, format!("the hub answers {status}; {hint}"))))
            }
            _ => other(&format!("the hub answers {status}")),
        }
    }
}

fn unreachable(url: &str, hint: &str, source: ureq::Error) -> Failure {
    let message = format!("the hub can't be reached; {hint}");
    Failure::Unreachable(Error::Download { url: url.into(), message, source: Some(Box::new(source)) })
}

/// `a` of `Content-Range: bytes a-b/c`.
fn range_start(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// Where a redirect leads: an address, or a path on the same host.
fn join(base: &Uri, location: &str) -> Option<Uri> {
    if location.starts_with('/') && !location.starts_with("//") {
        return format!("{}://{}{location}", base.scheme_str()?, base.authority()?).parse().ok();
    }
    location.parse().ok().filter(|uri: &Uri| uri.scheme().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(endpoint: &str, uri: &str) -> Option<Origin> {
        let options = HubOptions { endpoint: endpoint.into(), ..HubOptions::new("cache") };
        Http::new(&options).unwrap().target(&uri.parse().unwrap())
    }

    #[test]
    fn nothing_is_asked_less_securely_than_the_endpoint() {
        assert!(target("https://hub", "https://elsewhere/x").is_some());
        assert!(target("https://hub", "http://elsewhere/x").is_none());
        assert!(target("https://hub", "http://hub/x").is_none());
        assert!(target("http://hub", "http://elsewhere/x").is_some());
        assert!(target("http://hub", "https://hub/x").is_some());
        assert!(target("http://hub", "/x").is_none());
    }

    #[test]
    fn origins_are_scheme_host_and_port() {
        let origin = |uri: &str| Origin::of(&uri.parse().unwrap()).unwrap();
        assert_eq!(origin("https://hub/a"), origin("https://HUB:443/b?c"));
        for other in ["http://hub/a", "https://hub:444/a", "https://hub.evil/a", "https://evil@other/hub"] {
            assert_ne!(origin("https://hub/a"), origin(other), "{other}");
        }
    }

    #[test]
    fn redirects_lead_to_addresses_and_paths() {
        let base = "https://hub:8443/a/b?c".parse().unwrap();
        let lead = |location: &str| join(&base, location).map(|uri| uri.to_string());
        assert_eq!(lead("/x?y").as_deref(), Some("https://hub:8443/x?y"));
        assert_eq!(lead("https://other/x").as_deref(), Some("https://other/x"));
        for odd in ["", "x", "//other/x", "other:80", "https://", "http://a b"] {
            assert_eq!(lead(odd), None, "{odd:?}");
        }
    }
}
