//! Weights from the hub, or rather from a server beside the tests.

#[path = "../host/hub/server.rs"]
#[allow(dead_code, reason = "tests/host/hub.rs has the mishaps")]
mod server;

use crate::Case;
use crate::program::{Folder, digits, program, refused, run};
use excite::{Weights, zoo};
use libtest_mimic::Failed;
use server::{COMMIT, Repository, hub_of};

pub const CASES: &[Case] = &[
    Case::on_gpu("hub/downloaded_once", downloaded_once),
    Case::new("hub/offline_without_files", offline_without_files),
    Case::new("hub/no_such_revision", no_such_revision),
];

const MODEL: &str = "regnety_002.pycls_in1k";
const CONFIG: &str = r#"{
    "architecture": "regnety_002", "num_classes": 1000,
    "pretrained_cfg": {"input_size": [3, 64, 64], "crop_pct": 1.0, "interpolation": "bilinear"}
}"#;

/// The network's weights, from a seed.
fn weights(folder: &Folder) -> Result<Vec<u8>, Failed> {
    let graph = zoo::build("regnety_002", &zoo::Options::default())?;
    let seeded = Weights::seeded(1, 1.0);
    let tensors = graph.tensors().into_iter().map(|(name, shape)| Ok((name.clone(), seeded.get(&name, &shape)?)));
    let tensors = tensors.collect::<excite::Result<Vec<_>>>()?;
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
    Ok(std::fs::read(folder.tensors("model.safetensors", &tensors)?)?)
}

/// The answer is that of the same files given by hand; the second time nothing is asked.
fn downloaded_once() -> Result<(), Failed> {
    let (folder, cache) = (Folder::new()?, Folder::new()?);
    let files = [("model.safetensors", weights(&folder)?), ("config.json", CONFIG.into())];
    folder.file("config.json", CONFIG)?;
    let (endpoint, elsewhere) = hub_of(MODEL, Repository { files: files.into(), ..Default::default() });
    let image = &digits()?[0].0;
    let classify = |offline: &str, more: &[&str]| -> Result<(String, String), Failed> {
        let mut command = program();
        command.env("HF_ENDPOINT", &endpoint.address).env("HF_HOME", cache.path("")).env("HF_HUB_OFFLINE", offline);
        let ran = run(command.args(["classify", "--csv", "--top", "3", "--model", MODEL, image]).args(more))?;
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        // All but the time.
        let rows = ran.stdout.lines().map(|row| row.rsplitn(3, ',').nth(2).unwrap_or_default().to_string() + "\n");
        Ok((rows.collect(), ran.stderr))
    };
    let directory = folder.path("");
    let (by_hand, _) = classify("1", &["--weights", &directory])?;
    assert_eq!(by_hand.lines().count(), 4, "{by_hand}");
    let (downloaded, told) = classify("0", &[])?;
    assert_eq!(downloaded, by_hand);
    assert!(told.contains(COMMIT), "{told}");
    assert!(!endpoint.take_seen().is_empty() && !elsewhere.take_seen().is_empty(), "nothing was downloaded");
    for offline in ["0", "1"] {
        assert_eq!(classify(offline, &[])?.0, by_hand);
        assert!(endpoint.take_seen().is_empty() && elsewhere.take_seen().is_empty(), "the cache was not enough");
    }
    Ok(())
}

fn offline_without_files() -> Result<(), Failed> {
    let cache = Folder::new()?;
    let mut command = program();
    command.env("HF_HOME", cache.path("")).env("HF_HUB_OFFLINE", "1");
    let ran = run(command.args(["classify", "--model", MODEL, "x.png"]))?;
    refused(&ran, &["model.safetensors", "models--timm--regnety_002.pycls_in1k", "--weights"])
}

fn no_such_revision() -> Result<(), Failed> {
    let cache = Folder::new()?;
    let (endpoint, _elsewhere) = hub_of(MODEL, Repository::default());
    let mut command = program();
    command.env("HF_ENDPOINT", &endpoint.address).env("HF_HOME", cache.path("")).env("HF_HUB_OFFLINE", "0");
    let ran = run(command.args(["classify", "--model", MODEL, "--revision", "v9", "x.png"]))?;
    refused(&ran, &["v9", "regnety_002.pycls_in1k"])
}
