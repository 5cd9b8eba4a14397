//! Downloads from a hub on this machine: whole and broken, polite and not. No other network.

mod server;

use excite::Error;
use excite::hub::{CachedFile, Hub, HubFile, HubOptions, PretrainedFiles, Progress, Token, pretrained_files};
use server::{Answer, COMMIT, Mishap, Repository, Server, Silence, hub, sha256};
use std::collections::BTreeMap;
use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const WEIGHTS: HubFile<'static> =
    HubFile { repository: "timm/net", revision: None, name: "model.safetensors", sha256: None };

/// Some bytes that aren't all alike.
fn contents() -> Vec<u8> {
    (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn repository(mishaps: &[Mishap]) -> Repository {
    let files = BTreeMap::from([("model.safetensors", contents()), ("config.json", b"{}".to_vec())]);
    Repository { files, mishaps: Mutex::new(mishaps.to_vec()) }
}

fn options(server: &Server, cache: &TempDir) -> HubOptions {
    HubOptions::new(cache.path()).endpoint(server.address.clone())
}

/// For servers that fall silent.
fn impatient(server: &Server, cache: &TempDir) -> HubOptions {
    let second = Duration::from_secs(1);
    options(server, cache).connect_timeout(second).stall_timeout(second)
}

fn open(server: &Server, cache: &TempDir) -> Hub {
    Hub::new(options(server, cache)).unwrap()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn get(hub: &Hub, file: &HubFile<'_>) -> Result<CachedFile, Error> {
    hub.get(file, &mut |_| {})
}

fn pretrained(hub: &Hub) -> Result<PretrainedFiles, Error> {
    pretrained_files(hub, "timm/net", None, &mut |_| {})
}

fn model(cache: &TempDir) -> PathBuf {
    cache.path().join("models--timm--net")
}

fn snapshot(cache: &TempDir, name: &str) -> PathBuf {
    model(cache).join("snapshots").join(COMMIT).join(name)
}

/// All files below, locks aside.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true if path.ends_with(".locks") => {}
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

#[test]
fn a_file_is_downloaded_once() {
    let (endpoint, elsewhere) = hub(repository(&[]));
    let cache = folder();
    let client = open(&endpoint, &cache);
    let mut steps = Vec::new();
    let mut tell = |step: Progress<'_>| steps.push((step.file.to_string(), step.done, step.total));
    let file = client.get(&WEIGHTS, &mut tell).unwrap();
    assert_eq!(file, CachedFile { path: snapshot(&cache, "model.safetensors"), commit: COMMIT.into() });
    assert_eq!(fs::read(&file.path).unwrap(), contents());
    assert_eq!(steps.first().unwrap(), &("model.safetensors".to_string(), 0, 200_000));
    assert_eq!(steps.last().unwrap().1, 200_000);
    assert!(steps.is_sorted_by(|a, b| a.1 < b.1), "{steps:?}");
    // As Python's client would have left it.
    let blob = model(&cache).join("blobs").join(sha256(&contents()));
    assert_eq!(files(cache.path()), [blob.clone(), model(&cache).join("refs/main"), file.path.clone()]);
    assert_eq!(fs::read_to_string(model(&cache).join("refs/main")).unwrap(), COMMIT);
    #[cfg(unix)]
    assert_eq!(fs::read_link(&file.path).unwrap(), Path::new("../../blobs").join(sha256(&contents())));
    // HEAD and GET at the endpoint, GET where that leads.
    assert_eq!(endpoint.take_seen().iter().map(|seen| seen.method.clone()).collect::<Vec<_>>(), ["HEAD", "GET"]);
    assert_eq!(elsewhere.take_seen().len(), 1);

    let pinned = HubFile { revision: Some(COMMIT), ..WEIGHTS };
    for again in [WEIGHTS, pinned] {
        assert_eq!(get(&open(&endpoint, &cache), &again).unwrap(), file);
    }
    assert_eq!(endpoint.take_seen().len() + elsewhere.take_seen().len(), 0);
}

#[cfg(unix)]
#[test]
fn what_pythons_client_downloaded_is_found() {
    let (endpoint, _) = hub(repository(&[]));
    let cache = folder();
    for folder in ["blobs", "refs", &format!("snapshots/{COMMIT}")] {
        fs::create_dir_all(model(&cache).join(folder)).unwrap();
    }
    fs::write(model(&cache).join("blobs/abc"), "theirs").unwrap();
    fs::write(model(&cache).join("refs/main"), COMMIT).unwrap();
    std::os::unix::fs::symlink("../../blobs/abc", snapshot(&cache, "model.safetensors")).unwrap();
    let file = get(&open(&endpoint, &cache), &WEIGHTS).unwrap();
    assert_eq!(fs::read_to_string(file.path).unwrap(), "theirs");
    assert_eq!(file.commit, COMMIT);
    assert_eq!(endpoint.take_seen().len(), 0);
}

#[test]
fn broken_downloads_go_on_where_they_stopped() {
    for silence in [Silence::Closed, Silence::Stalled] {
        let (endpoint, elsewhere) = hub(repository(&[Mishap::Cut(1000, silence), Mishap::Cut(500, silence)]));
        let cache = folder();
        let client = Hub::new(impatient(&endpoint, &cache)).unwrap();
        for done in [1000, 1500] {
            let start = Instant::now();
            let error = get(&client, &WEIGHTS).unwrap_err();
            let expected = format!("broke off after {done} of 200000 bytes; the next try goes on from there");
            assert!(error.to_string().ends_with(&expected), "{error}");
            assert!(error.source().is_some());
            assert!(start.elapsed() < Duration::from_secs(10), "{silence:?}");
            assert!(!snapshot(&cache, "model.safetensors").exists());
        }
        let mut first = None;
        let file = client.get(&WEIGHTS, &mut |step| _ = first.get_or_insert(step.done)).unwrap();
        assert_eq!(first, Some(1500));
        assert_eq!(fs::read(file.path).unwrap(), contents());
        let ranges: Vec<_> = elsewhere.take_seen().iter().map(|seen| seen.headers.get("range").cloned()).collect();
        assert_eq!(ranges, [None, Some("bytes=1000-".into()), Some("bytes=1500-".into())]);
    }
}

#[test]
fn a_hub_that_sends_a_byte_now_and_then_is_cut_off() {
    let (endpoint, elsewhere) = hub(repository(&[Mishap::Cut(1000, Silence::Dripping)]));
    let cache = folder();
    let start = Instant::now();
    let error = get(&Hub::new(impatient(&endpoint, &cache)).unwrap(), &WEIGHTS).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(10));
    let message = error.to_string();
    assert!(message.contains(": broke off after 10"), "{message}");
    assert!(message.ends_with(" of 200000 bytes; the next try goes on from there"), "{message}");
    let source = error.source().unwrap().to_string();
    assert!(source.starts_with("too slow: ") && source.ends_with(", expected 1024"), "{source}");
    // What came is kept.
    let file = get(&open(&endpoint, &cache), &WEIGHTS).unwrap();
    assert_eq!(fs::read(file.path).unwrap(), contents());
    let from = elsewhere.take_seen()[1].headers["range"].clone();
    assert!(from.starts_with("bytes=10"), "{from}");
    // A small file is cut off as a large one is.
    let slow = Server::new(|seen| {
        let body = vec![b' '; 4096];
        let answer = Answer::new(200).header("X-Repo-Commit", COMMIT).header("ETag", "\"abc\"").body(body);
        if seen.method == "HEAD" { answer } else { answer.cut(0, Silence::Dripping) }
    });
    let config = HubFile { name: "config.json", ..WEIGHTS };
    let start = Instant::now();
    let error = get(&Hub::new(impatient(&slow, &folder())).unwrap(), &config).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(error.source().unwrap().to_string().starts_with("too slow"), "{error:?}");
}

#[test]
fn a_slow_hub_is_waited_for_where_that_is_asked_for() {
    let (endpoint, _) = hub(repository(&[Mishap::Cut(200_000 - 25, Silence::Dripping)]));
    let cache = folder();
    // Two and a half windows of a tenth of a kilobyte.
    let options = impatient(&endpoint, &cache).min_rate(0);
    let file = get(&Hub::new(options).unwrap(), &WEIGHTS).unwrap();
    assert_eq!(fs::read(file.path).unwrap(), contents());
}

#[test]
fn headers_that_never_end_are_cut_off() {
    let slow = Server::new(|_| Answer::new(200).header("X-Long", "x".repeat(1000)).slow_head());
    let start = Instant::now();
    let error = get(&Hub::new(impatient(&slow, &folder())).unwrap(), &WEIGHTS).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(error.to_string().contains("the hub can't be reached"), "{error}");
}

#[test]
fn a_server_without_ranges_starts_again() {
    let (endpoint, _) = hub(repository(&[Mishap::Cut(1000, Silence::Closed), Mishap::IgnoresRange]));
    let cache = folder();
    get(&open(&endpoint, &cache), &WEIGHTS).unwrap_err();
    let file = get(&open(&endpoint, &cache), &WEIGHTS).unwrap();
    assert_eq!(fs::read(file.path).unwrap(), contents());
}

#[test]
fn damaged_downloads_leave_nothing() {
    for (mishaps, expected) in [
        (&[Mishap::Corrupt][..], "; what was downloaded is deleted"),
        (&[Mishap::Cut(1000, Silence::Closed), Mishap::Corrupt], "; what was downloaded is deleted"),
        (&[Mishap::Longer], "the hub promised 200000 bytes and sends 200001 from byte 0 on"),
        (&[Mishap::LongerUnsaid], "the hub promised 200000 bytes and sends more"),
        (&[Mishap::Shorter], "the hub promised 200000 bytes and sends 199999 from byte 0 on"),
    ] {
        let (endpoint, _) = hub(repository(mishaps));
        let cache = folder();
        let client = open(&endpoint, &cache);
        let error = mishaps.iter().map(|_| get(&client, &WEIGHTS).unwrap_err().to_string()).last().unwrap();
        assert!(error.ends_with(expected), "{error}");
        let left: Vec<_> = files(cache.path()).iter().filter(|f| f.metadata().unwrap().len() > 0).cloned().collect();
        assert_eq!(left, Vec::<PathBuf>::new(), "{mishaps:?}");
        assert_eq!(fs::read(get(&client, &WEIGHTS).unwrap().path).unwrap(), contents());
    }
}

#[test]
fn a_damaged_part_is_noticed() {
    let (endpoint, _) = hub(repository(&[]));
    let cache = folder();
    let blobs = model(&cache).join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    let part = blobs.join(format!("{}.incomplete", sha256(&contents())));
    // Wrong bytes; wrong bytes, all of them; too many.
    for (length, fails) in [(1000, true), (200_000, true), (200_001, false)] {
        fs::write(&part, vec![7; length]).unwrap();
        let outcome = get(&open(&endpoint, &cache), &WEIGHTS);
        assert_eq!(outcome.is_err(), fails, "{outcome:?}");
        assert!(!part.exists());
    }
    assert_eq!(fs::read(snapshot(&cache, "model.safetensors")).unwrap(), contents());
}

#[test]
fn contents_must_have_the_callers_checksum() {
    let (endpoint, elsewhere) = hub(repository(&[]));
    let cache = folder();
    let client = open(&endpoint, &cache);
    let (right, wrong) = (sha256(&contents()).to_uppercase(), sha256(b"other"));
    let error = get(&client, &HubFile { sha256: Some(&wrong), ..WEIGHTS }).unwrap_err().to_string();
    assert!(error.ends_with(&format!("expected SHA-256 {wrong}, the hub has {}", sha256(&contents()))), "{error}");
    assert_eq!(elsewhere.take_seen().len(), 0);
    get(&client, &HubFile { sha256: Some(&right), ..WEIGHTS }).unwrap();
    // From the cache too.
    get(&client, &HubFile { sha256: Some(&right), ..WEIGHTS }).unwrap();
    let error = get(&client, &HubFile { sha256: Some(&wrong), ..WEIGHTS }).unwrap_err().to_string();
    assert!(error.ends_with(&format!("expected SHA-256 {wrong}, found {}", sha256(&contents()))), "{error}");
    // Small files, for which the hub gives none.
    let config = HubFile { name: "config.json", ..WEIGHTS };
    let error = get(&client, &HubFile { sha256: Some(&wrong), ..config }).unwrap_err().to_string();
    assert!(error.contains(&format!("expected SHA-256 {wrong}, found {}", sha256(b"{}"))), "{error}");
    assert!(!snapshot(&cache, "config.json").exists());
    get(&client, &HubFile { sha256: Some(&sha256(b"{}")), ..config }).unwrap();
}

#[test]
fn refusals_say_what_to_do() {
    for (status, code, expected) in [
        (404, "RepoNotFound", "the hub has no such repository"),
        (404, "RevisionNotFound", "the repository has no such revision"),
        (404, "EntryNotFound", "the repository has no such file"),
        (404, "", "the repository has no such file"),
        (401, "", "doesn't exist or is private (401 Unauthorized): set HF_TOKEN"),
        (401, "GatedRepo", "gated (401 Unauthorized): accept its terms on its page, and set HF_TOKEN"),
        (403, "GatedRepo", "gated (403 Forbidden): accept its terms on its page, and set HF_TOKEN"),
        (429, "", "the hub answers 429 Too Many Requests; to do without, put the file at "),
        (500, "", "the hub answers 500 Internal Server Error; to do without, put the file at "),
        (503, "", "the hub answers 503 Service Unavailable; to do without, put the file at "),
        (418, "", "the hub answers 418"),
        (200, "", "the answer has no commit; is this address a hub's?"),
    ] {
        let endpoint = Server::new(move |_| Answer::new(status).header("X-Error-Code", code));
        let cache = folder();
        let error = get(&open(&endpoint, &cache), &WEIGHTS).unwrap_err().to_string();
        let url = format!("{}/timm/net/resolve/main/model.safetensors: ", endpoint.address);
        assert!(error.starts_with(&url) && error.contains(expected), "{status} {code}: {error}");
        assert_eq!(files(cache.path()), Vec::<PathBuf>::new());
    }
}

#[test]
fn the_endpoints_word_must_make_sense() {
    let sum = sha256(b"x");
    for (commit, etag, size, expected) in [
        ("../../etc", sum.as_str(), "1", "no commit"),
        (COMMIT, "../../etc", "1", "no ETag"),
        (COMMIT, sum.as_str(), "-1", "no size"),
        (COMMIT, sum.as_str(), "5000000000", "has 5000000000 bytes, the limit is 4294967296"),
        ("f123456789abcdef0123456789abcdef01234567", sum.as_str(), "1", "the hub answers for commit f1234"),
    ] {
        let headers = [commit, etag, size].map(str::to_string);
        let endpoint = Server::new(move |_| {
            let [commit, etag, size] = &headers;
            Answer::new(200).header("X-Repo-Commit", commit).header("ETag", etag).header("X-Linked-Size", size)
        });
        let cache = folder();
        let file = HubFile { revision: Some(COMMIT), ..WEIGHTS };
        let error = get(&open(&endpoint, &cache), &file).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(files(cache.path()), Vec::<PathBuf>::new());
    }
}

#[test]
fn the_token_goes_to_the_endpoint_only() {
    let (endpoint, elsewhere) = hub(repository(&[]));
    let cache = folder();
    let token = Some(Token("hf_secret".into()));
    let client = Hub::new(options(&endpoint, &cache).token(token)).unwrap();
    get(&client, &WEIGHTS).unwrap();
    get(&client, &HubFile { name: "config.json", ..WEIGHTS }).unwrap();
    let home = endpoint.take_seen();
    assert_eq!(home.len(), 6);
    for seen in home {
        assert_eq!(seen.headers.get("authorization").unwrap(), "Bearer hf_secret", "{seen:?}");
    }
    let away = elsewhere.take_seen();
    assert_eq!(away.len(), 1);
    assert!(!format!("{away:?}").contains("secret"), "{away:?}");

    let refuses = Server::new(|_| Answer::new(403));
    let token = Some(Token("hf_secret".into()));
    let client = Hub::new(options(&refuses, &folder()).token(token)).unwrap();
    let error = get(&client, &WEIGHTS).unwrap_err();
    assert!(error.to_string().contains("the token in HF_TOKEN may not read it"), "{error}");
    assert!(!format!("{error:?} {client:?}").contains("secret"));
}

#[test]
fn redirects_have_an_end() {
    for (location, expected, requests) in [
        ("/again", "redirects more than 10 times", 11),
        ("file:///etc/passwd", "redirects to \"file:///etc/passwd\", which is no http address", 1),
        ("ftp://host/file", "redirects to \"ftp://host/file\", which is no http address", 1),
        ("//host/file", "redirects to \"//host/file\", which is no http address", 1),
        ("else", "redirects to \"else\", which is no http address", 1),
        ("", "redirects to \"\", which is no http address", 1),
    ] {
        let endpoint = Server::new(move |_| Answer::new(302).header("Location", location));
        let error = get(&open(&endpoint, &folder()), &WEIGHTS).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{location}: {error}");
        assert_eq!(endpoint.take_seen().len(), requests, "{location}");
    }
    // The same where the contents are.
    let endpoint = Server::new(|seen| match seen.method.as_str() {
        "HEAD" => Answer::new(200).header("X-Repo-Commit", COMMIT).header("ETag", "abc").header("X-Linked-Size", 1),
        _ => Answer::new(302).header("Location", "file:///etc/passwd"),
    });
    let error = get(&open(&endpoint, &folder()), &WEIGHTS).unwrap_err().to_string();
    assert!(error.ends_with("redirects to \"file:///etc/passwd\", which is no http address"), "{error}");
}

#[test]
fn offline_means_the_cache() {
    let (endpoint, _) = hub(repository(&[]));
    let cache = folder();
    let offline = Hub::new(options(&endpoint, &cache).offline(true)).unwrap();
    let place = model(&cache).join("snapshots/main/model.safetensors");
    let error = get(&offline, &WEIGHTS).unwrap_err().to_string();
    let expected = format!(
        "{}/timm/net/resolve/main/model.safetensors: not in the cache, and HF_HUB_OFFLINE forbids to ask for it; \
         to do without, put the file at {}, or give a file with --weights FILE",
        endpoint.address,
        place.display()
    );
    assert_eq!(error, expected);
    assert!(pretrained(&offline).unwrap_err().to_string().contains("HF_HUB_OFFLINE"));
    // Done as told.
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, "by hand").unwrap();
    let files = pretrained(&offline).unwrap();
    assert_eq!(files, PretrainedFiles { weights: place, config: None, commit: "main".into() });
    assert_eq!(endpoint.take_seen().len(), 0);

    let cache = folder();
    let before = pretrained(&open(&endpoint, &cache)).unwrap();
    assert!(!endpoint.take_seen().is_empty());
    let offline = Hub::new(options(&endpoint, &cache).offline(true)).unwrap();
    assert_eq!(pretrained(&offline).unwrap(), before);
    assert_eq!(endpoint.take_seen().len(), 0);
}

#[test]
fn an_unreachable_hub_says_where_to_put_the_file() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = Server::new(|_| Answer::new(0).cut(0, Silence::Stalled));
    for endpoint in [format!("http://{closed}"), silent.address.clone()] {
        let cache = folder();
        let client = Hub::new(impatient(&silent, &cache).endpoint(endpoint.clone())).unwrap();
        let start = Instant::now();
        let error = get(&client, &WEIGHTS).unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(20));
        let place = model(&cache).join("snapshots/main/model.safetensors");
        let expected = format!("the hub can't be reached; to do without, put the file at {}", place.display());
        assert!(error.to_string().starts_with(&endpoint) && error.to_string().contains(&expected), "{error}");
        assert!(error.source().is_some());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, "by hand").unwrap();
        assert_eq!(pretrained(&client).unwrap().weights, place);
    }
}

#[test]
fn odd_names_are_not_asked_for() {
    let (endpoint, _) = hub(repository(&[]));
    let cache = folder();
    let client = open(&endpoint, &cache);
    for odd in ["../net", "/etc/passwd", "timm/net?x=1", "a b"] {
        for file in [
            HubFile { repository: odd, ..WEIGHTS },
            HubFile { revision: Some(odd), ..WEIGHTS },
            HubFile { name: odd, ..WEIGHTS },
        ] {
            let error = get(&client, &file).unwrap_err().to_string();
            assert!(error.contains(&format!("is named {odd:?}")), "{error}");
        }
    }
    assert_eq!(endpoint.take_seen().len(), 0);
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
}

#[test]
fn one_of_many_downloads() {
    let (endpoint, elsewhere) = hub(repository(&[]));
    let cache = folder();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let file = get(&open(&endpoint, &cache), &WEIGHTS).unwrap();
                assert_eq!(fs::read(file.path).unwrap(), contents());
            });
        }
    });
    assert_eq!(elsewhere.take_seen().len(), 1);
}

#[test]
fn a_branch_stays_at_its_commit() {
    let (endpoint, _) = hub(repository(&[]));
    let cache = folder();
    let client = open(&endpoint, &cache);
    let branch = HubFile { revision: Some("refs/pr/1"), ..WEIGHTS };
    assert_eq!(get(&client, &branch).unwrap().commit, COMMIT);
    assert_eq!(fs::read_to_string(model(&cache).join("refs/refs/pr/1")).unwrap(), COMMIT);
    endpoint.take_seen();
    // Another file of the branch is asked for by the commit.
    get(&client, &HubFile { name: "config.json", ..branch }).unwrap();
    assert_eq!(endpoint.take_seen()[0].path, format!("/timm/net/resolve/{COMMIT}/config.json"));
    let error = get(&client, &HubFile { revision: Some("other"), ..WEIGHTS }).unwrap_err().to_string();
    assert!(error.ends_with("the repository has no such revision"), "{error}");
}

#[test]
fn too_large_files_are_not_begun() {
    let (endpoint, elsewhere) = hub(repository(&[]));
    let cache = folder();
    let client = Hub::new(options(&endpoint, &cache).max_bytes(199_999)).unwrap();
    let error = get(&client, &WEIGHTS).unwrap_err().to_string();
    assert!(error.ends_with("has 200000 bytes, the limit is 199999"), "{error}");
    assert_eq!(elsewhere.take_seen().len(), 0);
    let client = Hub::new(options(&endpoint, &cache).max_bytes(200_000)).unwrap();
    get(&client, &WEIGHTS).unwrap();
}

#[test]
fn pretrained_networks_have_weights_and_perhaps_a_config() {
    let (endpoint, _) = hub(repository(&[]));
    let cache = folder();
    let files = pretrained(&open(&endpoint, &cache)).unwrap();
    let expected = PretrainedFiles {
        weights: snapshot(&cache, "model.safetensors"),
        config: Some(snapshot(&cache, "config.json")),
        commit: COMMIT.into(),
    };
    assert_eq!(files, expected);
    assert_eq!(fs::read(files.config.unwrap()).unwrap(), b"{}");

    let mut bare = repository(&[]);
    bare.files.remove("config.json");
    let (endpoint, _) = hub(bare);
    let cache = folder();
    for requests in [3, 0] {
        assert_eq!(pretrained(&open(&endpoint, &cache)).unwrap().config, None);
        assert_eq!(endpoint.take_seen().len(), requests);
    }
}

#[test]
fn weights_in_parts_come_together() {
    let index =
        br#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}}"#;
    let parts = [("model-1.safetensors", vec![1; 10]), ("model-2.safetensors", vec![2; 20])];
    let mut files = BTreeMap::from(parts.clone());
    files.insert("model.safetensors.index.json", index.to_vec());
    let (endpoint, _) = hub(Repository { files, mishaps: Mutex::default() });
    let cache = folder();
    let found = pretrained(&open(&endpoint, &cache)).unwrap();
    assert_eq!(found.weights, snapshot(&cache, "model.safetensors.index.json"));
    for (name, bytes) in parts {
        assert_eq!(fs::read(found.weights.with_file_name(name)).unwrap(), bytes);
    }
    endpoint.take_seen();
    assert_eq!(pretrained(&open(&endpoint, &cache)).unwrap(), found);
    assert_eq!(endpoint.take_seen().len(), 0);
}

#[test]
fn an_index_names_no_files_elsewhere() {
    for (index, expected) in [
        (r#"{"weight_map": {"a": "../../../x.safetensors"}}"#, "expected a .safetensors file of the same directory"),
        (r#"{"weight_map": {"a": "x y.safetensors"}}"#, "no file of the hub is named"),
        (r#"{"weight_map": {"a": "model.bin"}}"#, "expected a .safetensors file of the same directory"),
        (r#"{"weight_map": {}}"#, "expected an object \"weight_map\""),
        (r#"{"weight_map": {"a": 1}}"#, "expected a .safetensors file of the same directory"),
        ("[", "is not sound JSON"),
    ] {
        let files = BTreeMap::from([("model.safetensors.index.json", index.as_bytes().to_vec())]);
        let (endpoint, _) = hub(Repository { files, mishaps: Mutex::default() });
        let error = pretrained(&open(&endpoint, &folder())).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn small_files_that_are_large_are_refused() {
    let long = vec![b' '; (4 << 20) + 1];
    let many: BTreeMap<String, String> = (0..257).map(|n| (format!("t{n}"), format!("{n}.safetensors"))).collect();
    let many = serde_json::json!({"weight_map": many}).to_string().into_bytes();
    let too_long = "has 4194305 bytes, the limit is 4194304";
    for (name, contents, expected) in [
        ("model.safetensors.index.json", &long, too_long),
        ("config.json", &long, too_long),
        ("model.safetensors.index.json", &many, "expected at most 256 files, found 257"),
    ] {
        let mut files = BTreeMap::from([(name, contents.clone())]);
        if name == "config.json" {
            files.insert("model.safetensors", vec![1]);
        }
        let (endpoint, elsewhere) = hub(Repository { files, mishaps: Mutex::default() });
        let error = pretrained(&open(&endpoint, &folder())).unwrap_err().to_string();
        assert!(error.contains(name) && error.ends_with(expected), "{error}");
        assert_eq!(elsewhere.take_seen().len(), usize::from(name == "config.json"), "no part is asked for");
    }
}

#[test]
fn weights_put_there_by_hand_stay_the_weights() {
    let (endpoint, elsewhere) = hub(repository(&[]));
    let cache = folder();
    let place = model(&cache).join("snapshots/main/model.safetensors");
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, "by hand").unwrap();
    let mut expected = PretrainedFiles { weights: place.clone(), config: None, commit: "main".into() };
    for _ in 0..2 {
        assert_eq!(pretrained(&open(&endpoint, &cache)).unwrap(), expected);
    }
    // With a configuration beside them.
    let config = place.with_file_name("config.json");
    fs::write(&config, "{}").unwrap();
    expected.config = Some(config.clone());
    for _ in 0..2 {
        assert_eq!(pretrained(&open(&endpoint, &cache)).unwrap(), expected);
    }
    assert_eq!(endpoint.take_seen().len() + elsewhere.take_seen().len(), 0);
    assert_eq!(files(cache.path()), [config, place]);
}

/// Warnings of this process.
struct Warnings(Mutex<Vec<String>>);

impl log::Log for Warnings {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

#[test]
fn weights_without_a_stated_sum_are_warned_of() {
    static WARNINGS: Warnings = Warnings(Mutex::new(Vec::new()));
    log::set_logger(&WARNINGS).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let endpoint = Server::new(|_| {
        let answer = Answer::new(200).header("X-Repo-Commit", COMMIT).header("ETag", "\"abc\"");
        answer.header("X-Linked-Size", 1).body(b"x".to_vec())
    });
    let warned = || {
        let all = WARNINGS.0.lock().unwrap();
        all.iter().filter(|text| text.contains(&endpoint.address)).cloned().collect::<Vec<_>>()
    };
    // With a sum of the caller's, and of no weights.
    get(&open(&endpoint, &folder()), &HubFile { sha256: Some(&sha256(b"x")), ..WEIGHTS }).unwrap();
    get(&open(&endpoint, &folder()), &HubFile { name: "config.json", ..WEIGHTS }).unwrap();
    assert_eq!(warned(), Vec::<String>::new());
    get(&open(&endpoint, &folder()), &WEIGHTS).unwrap();
    let warned = warned();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].ends_with("the hub states no SHA-256 of model.safetensors, only its size is checked"),
        "{warned:?}"
    );
}

#[test]
fn pickles_are_for_python() {
    let files = BTreeMap::from([("pytorch_model.bin", vec![0x80, 2])]);
    let (endpoint, elsewhere) = hub(Repository { files, mishaps: Mutex::default() });
    let error = pretrained(&open(&endpoint, &folder())).unwrap_err().to_string();
    assert!(error.contains("weights = torch.load(\"pytorch_model.bin\""), "{error}");
    assert!(error.contains("safetensors.torch.save_file(weights, \"model.safetensors\")"), "{error}");
    assert!(endpoint.take_seen().iter().all(|seen| seen.method == "HEAD"));
    assert_eq!(elsewhere.take_seen().len(), 0);

    let (endpoint, _) = hub(Repository::default());
    let error = pretrained(&open(&endpoint, &folder())).unwrap_err().to_string();
    assert!(error.ends_with("model.safetensors: the repository has no such file"), "{error}");
}
