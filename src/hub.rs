//! Files of the Hugging Face hub, in the cache that its Python client uses too.
//!
//! What is in the cache is used as it is, without a request. What isn't is downloaded, checked, and put there whole: an
//! interrupted download goes on where it stopped. The commit behind a branch is kept, so that a second run has the same
//! files; delete the cache's `refs` to follow the branch. Hugging Face's own crate (`hf-hub` 1.0) has an offline mode for
//! each call and retries, but checks no sums of what it gets by HTTP, resumes nothing, has no time limits of its own,
//! doesn't heed `HF_HUB_OFFLINE`, and brings tokio, reqwest and xet, 200 crates more than the plain HTTP client used
//! here.
//!
//! Contents must have the size that the hub states and the SHA-256 that it or the caller does. Where nobody states a sum
//! – of small files, and of all files of some mirrors – only the size is checked; for weights that is a warning.
//!
//! ```no_run
//! use excite::hub::{Hub, pretrained_files};
//!
//! let hub = Hub::from_env()?;
//! let files = pretrained_files(&hub, "timm/seresnet50.a1_in1k", None, &mut |_| {})?;
//! let weights = excite::Weights::open(files.weights)?;
//! # Ok::<(), excite::Error>(())
//! ```

mod cache;
mod download;
mod http;
mod names;
mod pretrained;

pub use pretrained::{PretrainedFiles, pretrained_files};

use crate::error::{Error, Result};
use cache::Folder;
use http::Http;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where files come from and go to, and what a download may take.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubOptions {
    /// The hub's address, `http` or `https`.
    pub endpoint: String,
    /// The cache's folder: that of `models--…`.
    pub cache: PathBuf,
    /// Sent to the endpoint and to no other host.
    pub token: Option<Token>,
    /// Whether only the cache is used.
    pub offline: bool,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the hub may be silent.
    pub stall_timeout: Duration,
    /// Fewest bytes a second that contents may come at, taken over each `stall_timeout`; 0 for any.
    pub min_rate: u64,
    /// Size of the largest file that is downloaded, in bytes.
    pub max_bytes: u64,
}

/// A secret that [`fmt::Debug`] doesn't show.
#[derive(Clone)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl HubOptions {
    /// The public hub without a token; 10 s to connect, 30 s of silence, 1 KiB a second, files of at
    /// most 4 GiB.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            endpoint: "https://huggingface.co".into(),
            cache: cache.into(),
            token: None,
            offline: false,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            min_rate: 1 << 10,
            max_bytes: 4 << 30,
        }
    }

    /// As the environment says: `HF_HUB_CACHE`, or `hub` in `HF_HOME`, or in `huggingface` in `XDG_CACHE_HOME` or
    /// `~/.cache`; `HF_ENDPOINT`, `HF_TOKEN`, and `HF_HUB_OFFLINE` (1, true, yes or on).
    ///
    /// # Errors
    /// There is neither one of these folders nor a home, or a variable is no Unicode.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| {
            let value = set(name).map(OsString::into_string).transpose();
            value.map_err(|_| Error::Request(format!("{name} must be Unicode")))
        };
        let folder = |name: &str, below: &str| set(name).map(|value| PathBuf::from(value).join(below));
        let cache = folder("HF_HUB_CACHE", "")
            .or_else(|| folder("HF_HOME", "hub"))
            .or_else(|| folder("XDG_CACHE_HOME", "huggingface/hub"))
            .or_else(|| folder("HOME", ".cache/huggingface/hub"))
            .or_else(|| folder("USERPROFILE", ".cache/huggingface/hub"))
            .ok_or_else(|| Error::Request("no home directory for downloads: set HF_HOME to a folder".into()))?;
        let mut options = Self::new(cache);
        if let Some(endpoint) = text("HF_ENDPOINT")? {
            options.endpoint = endpoint;
        }
        options.token = text("HF_TOKEN")?.map(|token| Token(token.trim().into()));
        let offline = text("HF_HUB_OFFLINE")?.unwrap_or_default().to_lowercase();
        options.offline = ["1", "true", "yes", "on"].contains(&offline.as_str());
        Ok(options)
    }
}

/// A file of a model's repository.
#[derive(Clone, Copy, Debug)]
pub struct HubFile<'a> {
    /// The repository, such as `timm/seresnet50.a1_in1k`.
    pub repository: &'a str,
    /// A branch, a tag or a commit; `main` without one.
    pub revision: Option<&'a str>,
    /// Its path in the repository.
    pub name: &'a str,
    /// The SHA-256 that its contents must have, in hexadecimal. Without it that which the hub states; where it states
    /// none, only the size is checked.
    pub sha256: Option<&'a str>,
}

impl<'a> HubFile<'a> {
    /// A file of the branch `main`.
    pub fn new(repository: &'a str, name: &'a str) -> Self {
        Self { repository, revision: None, name, sha256: None }
    }
}

/// A file that is in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedFile {
    /// Where it is.
    pub path: PathBuf,
    /// The commit that it is of; the revision asked for, where somebody put it there by hand.
    pub commit: String,
}

/// How far a download has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file's path in its repository.
    pub file: &'a str,
    /// Bytes that are here.
    pub done: u64,
    /// Bytes of the whole file.
    pub total: u64,
}

/// The hub and its cache.
#[derive(Debug)]
pub struct Hub {
    options: HubOptions,
    http: Http,
}

/// Why there is no file.
enum Failure {
    /// The repository has no such file, at this commit if the hub says.
    Absent(Box<Error>, Option<String>),
    /// The hub can't be asked, or doesn't answer as it should.
    Unreachable(Error),
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Failure {
    fn error(self) -> Error {
        match self {
            Self::Absent(error, _) => *error,
            Self::Unreachable(error) | Self::Other(error) => error,
        }
    }
}

impl Hub {
    /// As [`HubOptions::from_env`] has it.
    ///
    /// # Errors
    /// The environment's or [`Hub::new`]'s.
    pub fn from_env() -> Result<Self> {
        Self::new(HubOptions::from_env()?)
    }

    /// Connects to nothing yet.
    ///
    /// # Errors
    /// The endpoint is no address, or the token has characters that no token has.
    pub fn new(options: HubOptions) -> Result<Self> {
        Ok(Self { http: Http::new(&options)?, options })
    }

    /// The file's place in the cache, where it is put first if it isn't there.
    ///
    /// `progress` is called at the start of a download and as it goes on.
    ///
    /// # Errors
    /// A name is odd; the file, the repository or the revision doesn't exist or isn't for everybody; the hub can't be
    /// reached, stalls or is too slow (what has arrived is kept for the next try); contents are too large or not what
    /// they should be; the cache can't be written.
    pub fn get(&self, file: &HubFile<'_>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<CachedFile> {
        self.fetch(file, u64::MAX, progress).map_err(Failure::error)
    }

    /// As [`Hub::get`]; downloads at most `max_bytes`, and at most what the options allow.
    fn fetch(
        &self,
        file: &HubFile<'_>,
        max_bytes: u64,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<CachedFile, Failure> {
        names::check(file)?;
        let folder = Folder::new(&self.options.cache, file.repository);
        let revision = file.revision.unwrap_or("main");
        let place = folder.commit(revision).unwrap_or_else(|| revision.into());
        let path = folder.snapshot(&place, file.name);
        let url = self.url(file, &place);
        if path.is_file() {
            file.sha256.map_or(Ok(()), |expected| download::check_file(&path, expected))?;
            return Ok(CachedFile { path, commit: place });
        }
        if folder.is_known_absent(&place, file.name) {
            let error = download_error(&url, "the repository has no such file").into();
            return Err(Failure::Absent(error, Some(place)));
        }
        let hint = by_hand(&path, file.name);
        if self.options.offline {
            let message = format!("not in the cache, and HF_HUB_OFFLINE forbids to ask for it; {hint}");
            return Err(Failure::Unreachable(download_error(&url, message)));
        }
        let remote = match self.http.find(&url, &hint) {
            Err(Failure::Absent(error, Some(commit))) => {
                // A cache that can't be written only costs a request the next time.
                let noted = folder.note_absent(&commit, file.name).and_then(|()| folder.keep_commit(revision, &commit));
                noted.unwrap_or_else(|error| log::debug!("{error}"));
                return Err(Failure::Absent(error, Some(commit)));
            }
            found => found?,
        };
        if names::is_commit(&place) && remote.commit != place {
            return Err(download_error(&url, format!("the hub answers for commit {}", remote.commit)).into());
        }
        let limit = self.options.max_bytes.min(max_bytes);
        if remote.size > limit {
            let message = format!("has {} bytes, the limit is {limit}", remote.size);
            return Err(download_error(&url, message).into());
        }
        let locked = folder.lock(&remote.etag)?;
        let blob = folder.blob(&remote.etag);
        if blob.metadata().is_ok_and(|found| found.is_file() && found.len() == remote.size) {
            file.sha256.map_or(Ok(()), |expected| download::check_file(&blob, expected))?;
        } else {
            download::download(&self.http, &self.url(file, &remote.commit), &remote, file, &blob, progress)?;
        }
        let path = folder.link(&blob, &remote.commit, file.name)?;
        drop(locked);
        folder.keep_commit(revision, &remote.commit)?;
        Ok(CachedFile { path, commit: remote.commit })
    }

    /// Whether the repository has the file, by the hub's word.
    fn has(&self, file: &HubFile<'_>) -> Result<bool, Failure> {
        names::check(file)?;
        if self.options.offline {
            return Ok(false);
        }
        match self.http.find(&self.url(file, file.revision.unwrap_or("main")), "") {
            Err(Failure::Absent(..)) => Ok(false),
            found => found.map(|_| true),
        }
    }

    fn url(&self, file: &HubFile<'_>, revision: &str) -> String {
        let revision = revision.replace('/', "%2F");
        format!("{}/{}/resolve/{revision}/{}", self.http.endpoint(), file.repository, file.name)
    }
}

/// What to do without the hub.
fn by_hand(path: &std::path::Path, name: &str) -> String {
    let or = if name.ends_with(".safetensors") { ", or give a file with --weights FILE" } else { "" };
    format!("to do without, put the file at {}{or}", path.display())
}

fn download_error(url: &str, message: impl Into<String>) -> Error {
    Error::Download { url: url.into(), message: message.into(), source: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variables: &[(&str, &str)]) -> Result<HubOptions> {
        let find = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).into());
        HubOptions::from_variables(find)
    }

    #[test]
    fn the_environment_says_where() {
        for (variables, cache) in [
            (&[("HOME", "/h")][..], "/h/.cache/huggingface/hub"),
            (&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[("HOME", "/h"), ("HF_HOME", "/f")], "/f/hub"),
            (&[("HF_HOME", "/f"), ("HF_HUB_CACHE", "/c")], "/c"),
            (&[("HF_HOME", ""), ("HOME", "/h")], "/h/.cache/huggingface/hub"),
        ] {
            assert_eq!(options(variables).unwrap().cache, PathBuf::from(cache), "{variables:?}");
        }
        assert!(options(&[]).unwrap_err().to_string().contains("HF_HOME"));
    }

    #[test]
    fn the_environment_says_how() {
        let plain = options(&[("HOME", "/h")]).unwrap();
        assert_eq!((plain.endpoint.as_str(), plain.offline), ("https://huggingface.co", false));
        assert!(plain.token.is_none());
        for (value, offline) in [("1", true), ("ON", true), ("yes", true), ("True", true), ("0", false), ("", false)] {
            assert_eq!(options(&[("HOME", "/h"), ("HF_HUB_OFFLINE", value)]).unwrap().offline, offline, "{value}");
        }
        let all = options(&[("HOME", "/h"), ("HF_ENDPOINT", "https://mirror/hf/"), ("HF_TOKEN", "secret\n")]).unwrap();
        assert_eq!(all.token.as_ref().unwrap().0, "secret");
        let hub = Hub::new(all).unwrap();
        assert!(!format!("{hub:?}").contains("secret"), "{hub:?}");
        let url = hub.url(&HubFile::new("timm/net", "model.safetensors"), "refs/pr/1");
        assert_eq!(url, "https://mirror/hf/timm/net/resolve/refs%2Fpr%2F1/model.safetensors");
    }

    #[test]
    fn endpoints_and_tokens_are_checked() {
        for endpoint in ["huggingface.co", "ftp://huggingface.co", "https://", "https://a b"] {
            let error = Hub::new(HubOptions { endpoint: endpoint.into(), ..HubOptions::new("/c") }).unwrap_err();
            assert!(error.to_string().contains("HF_ENDPOINT"), "{error}");
        }
        // With a secret where it doesn't belong, sound otherwise or not.
        for endpoint in ["https://user:secret@hub", "https://secret@hub/x", "https://user:se/secret@hub", "secret@hub"]
        {
            let error = Hub::new(HubOptions { endpoint: endpoint.into(), ..HubOptions::new("/c") }).unwrap_err();
            assert!(error.to_string().contains("put the secret into HF_TOKEN"), "{error}");
            assert!(!format!("{error} {error:?}").contains("secret@"), "{error}");
        }
        let token = Some(Token("se\ncret".into()));
        let error = Hub::new(HubOptions { token, ..HubOptions::new("/c") }).unwrap_err().to_string();
        assert!(error.contains("HF_TOKEN") && !error.contains("cret"), "{error}");
    }
}
