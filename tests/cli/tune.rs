//! `excite tune` and the commands that take what it has found.

use crate::Case;
use crate::program::{Folder, program, refuse, refused, run, succeed};
use excite::import::safetensors;
use excite::{Tensor, zoo};
use libtest_mimic::Failed;
use serde_json::Value;

pub const CASES: &[Case] = &[
    Case::on_gpu("tune/a_file_that_run_uses", a_file_that_run_uses),
    Case::on_gpu("tune/the_adapters_own_file", own_file),
    Case::on_gpu("tune/broken_file", broken_file),
    Case::new("tune/bad_arguments", bad_arguments),
];

/// Tuned in some seconds, answers are right, and plans say that they are tuned.
fn a_file_that_run_uses() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let tuning = folder.path("tuning.json");
    let args = ["tune", "digits", "--batch", "3", "--seconds", "20", "--output", &tuning, "--json"];
    let document: Value = serde_json::from_str(&succeed(&args)?)?;
    let shapes = document["shapes"].as_array().ok_or("no shapes")?;
    let left = document["left"].as_array().ok_or("nothing is said of what is left")?;
    assert!(!shapes.is_empty() && shapes.len() + left.len() == 6, "{document}");
    for shape in shapes {
        let times = shape["milliseconds"].as_object().ok_or("no times")?;
        let choice = shape["choice"].as_str().ok_or("no choice")?;
        assert!(times.contains_key(choice) && (1..=6).contains(&times.len()), "{shape}");
    }
    assert_eq!(folder.names()?, ["tuning.json"]);
    let images = Tensor::from_fn([3, 1, 8, 8], |i| (i * 37 % 256) as f32 / 255.0);
    let input = folder.tensors("in.safetensors", &[("input", images.clone())])?;
    let output = folder.path("out.safetensors");
    succeed(&["run", "digits", "--input", &input, "--output", &output, "--tuning", &tuning])?;
    let bundled = zoo::bundled_weights("digits_seresnet").ok_or("the digits network has weights")?;
    let expected = zoo::build("digits_seresnet", &zoo::Options::default())?.reference(&images, &bundled)?;
    let (got, expected) = (&safetensors::read(&output)?["logits"], &expected["logits"]);
    assert_eq!(got.shape(), expected.shape());
    for (got, expected) in got.data().iter().zip(expected.data()) {
        assert!((got - expected).abs() < 1e-3, "{got} is not {expected}");
    }
    assert!(succeed(&["verify", "digits", "--batch", "3", "--tuning", &tuning])?.contains("passed: "));
    let classified = succeed(&["classify", "assets/digits/digit_1_16.png", "--tuning", &tuning])?;
    assert!(classified.contains("digit_1_16.png  1 "), "{classified}");
    let plan = succeed(&["plan", "digits", "--batch", "3", "--tuning", &tuning])?;
    assert!(plan.contains("fusion full tuned\n"), "{plan}");
    Ok(())
}

/// Without a place to write it goes to the cache directory, where `auto` finds it; a second network joins the first.
fn own_file() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let cache = folder.path("cache");
    let with_cache = |args: &[&str]| run(program().env("EXCITE_CACHE_DIR", &cache).args(args));
    let before = with_cache(&["verify", "digits", "--tuning", "auto"])?;
    // Some adapters have a tuning that ships.
    let none = ["nothing is tuned", "tuned by what ships with excite\n"];
    assert!(before.code == Some(0) && none.iter().any(|text| before.stderr.contains(text)), "{}", before.stderr);
    for batch in ["1", "2"] {
        let ran = with_cache(&["tune", "digits", "--batch", batch, "--seconds", "0.1"])?;
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stdout.starts_with("shape ") && ran.stdout.contains("shapes tuned in "), "{}", ran.stdout);
    }
    let names = std::fs::read_dir(&cache)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    let tunings: Vec<_> = names.iter().filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    let [tuning] = tunings.as_slice() else { return Err(format!("not one file: {names:?}").into()) };
    let text = std::fs::read_to_string(tuning)?;
    assert!(text.contains(" batch 1") && text.contains(" batch 2"), "{text}");
    let after = with_cache(&["verify", "digits", "--tuning", "auto"])?;
    let by = format!("tuned by {}", tuning.display());
    assert!(after.code == Some(0) && after.stderr.contains(&by), "{}", after.stderr);
    std::fs::write(tuning, "{}")?;
    let broken = with_cache(&["verify", "digits", "--tuning", "auto"])?;
    assert!(broken.code == Some(0) && broken.stderr.contains("own tuning is left out: "), "{}", broken.stderr);
    Ok(())
}

/// A file that was asked for and is of no use is an error.
fn broken_file() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let text = folder.file("text.json", "This is text.")?;
    refuse(&["verify", "digits", "--tuning", &text], &["text.json", "it is no JSON"])?;
    refuse(&["verify", "digits", "--tuning", &folder.path("none.json")], &["none.json", "can't read the tuning"])?;
    let tuning = folder.path("tuning.json");
    succeed(&["tune", "digits", "--seconds", "0", "--output", &tuning])?;
    let other = std::fs::read_to_string(&tuning)?.replacen("\"name\": \"", "\"name\": \"Another ", 1);
    let other = folder.file("other.json", other)?;
    refuse(&["bench", "digits", "--tuning", &other], &["expects the adapter Another "])
}

fn bad_arguments() -> Result<(), Failed> {
    refuse(&["tune", "digits", "--seconds=-1"], &["--seconds must be from 0 on, is -1"])?;
    refuse(&["tune", "digits", "--batch", "0"], &["--batch must be at least 1"])?;
    refuse(&["plan", "digits", "--tuning", "auto"], &["--tuning auto", "--device"])?;
    refuse(&["bench", "se", "--tuning", "auto"], &["--tuning is for networks"])?;
    let ran = run(program().args(["tune", "digits"]))?;
    // Without an adapter the error is another one.
    if !excite::gpu::adapters().is_empty() {
        refused(&ran, &["give a file with --output"])?;
    }
    Ok(())
}
