//! Tuning as a file: JSON for people to read, believed only if all of it makes sense.

use super::{Adapter, Tuned, Tuning};
use crate::error::{Error, Result};
use crate::files::{self, Kind};
use crate::kernels::MatrixSize;
use crate::plan::{Choice, Precision};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The format of files. Other meanings of choices or keys need another number.
const VERSION: u64 = 2;
const FILE: Kind = Kind { name: "tuning", expected: "a tuning", most: 8 << 20 };
/// Most shapes of a file, and characters of each text.
const MOST_SHAPES: usize = 20_000;
const MOST_TEXT: usize = 1000;

type Parsed<T> = std::result::Result<T, String>;

impl Tuning {
    /// Writes a JSON file that appears whole or not at all.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        files::write(path.as_ref(), "write the tuning", format!("{:#}\n", self.document()).as_bytes())
    }

    /// Reads what [`Tuning::save`] has written.
    ///
    /// # Errors
    /// The file can't be read, is of another version, or says what makes no sense.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = files::read_text(path, &FILE)?;
        Self::parse(&text).map_err(|message| Error::file(path, format!("no tuning: {message}")))
    }

    pub(super) fn document(&self) -> Value {
        let adapter = Adapter::FIELDS.iter().zip(&self.adapter.0);
        let adapter: Map<String, Value> = adapter.map(|(name, text)| (name.to_string(), json!(text))).collect();
        let shape = |(key, tuned): (&String, &Tuned)| {
            let times = tuned.milliseconds.iter();
            let times: Map<String, Value> = times.map(|(choice, time)| (choice.to_string(), json!(time))).collect();
            let (choice, untuned) = (tuned.choice.to_string(), tuned.untuned.to_string());
            let once: Vec<String> = tuned.once.iter().map(ToString::to_string).collect();
            (key.clone(), json!({ "choice": choice, "untuned": untuned, "milliseconds": times, "once": once }))
        };
        json!({
            "version": VERSION,
            "adapter": adapter,
            "precision": self.precision.to_string(),
            "cooperative": self.cooperative.map(|size| size.to_string()),
            "shapes": self.shapes.iter().map(shape).collect::<Map<_, _>>(),
            "left": self.left,
        })
    }

    pub(super) fn parse(text: &str) -> Parsed<Self> {
        let document: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
        match document.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            found => {
                let found = found.map_or("none".into(), |version| version.to_string());
                return Err(format!("expected version {VERSION}, found {found}"));
            }
        }
        let top = fields(&document, "the file", &["version", "adapter", "precision", "cooperative", "shapes", "left"])?;
        let adapter = fields(&top["adapter"], "adapter", &Adapter::FIELDS)?;
        let mut names: [String; Adapter::FIELDS.len()] = Default::default();
        for (name, field) in names.iter_mut().zip(Adapter::FIELDS) {
            *name = short(&adapter[field], field)?.into();
        }
        let precision: Precision = short(&top["precision"], "precision")?.parse().map_err(|e: Error| e.to_string())?;
        let cooperative = match &top["cooperative"] {
            Value::Null => None,
            text => Some(matrix_size(short(text, "cooperative")?)?),
        };
        let shapes = top["shapes"].as_object().ok_or("shapes must be an object")?;
        let left = top["left"].as_array().ok_or("left must be a list")?;
        if shapes.len().max(left.len()) > MOST_SHAPES {
            return Err(format!("it has more than {MOST_SHAPES} shapes"));
        }
        let shapes = shapes.iter().map(|(key, found)| {
            let found = tuned(key, found).map_err(|message| format!("\"{key:.80}\": {message}"))?;
            Ok((key.clone(), found))
        });
        let shapes: BTreeMap<String, Tuned> = shapes.collect::<Parsed<_>>()?;
        let left = left.iter().map(|key| Ok(short(key, "left")?.to_string()));
        let left = left.collect::<Parsed<BTreeSet<String>>>()?;
        Ok(Self { adapter: Adapter(names), precision, cooperative, shapes, left })
    }
}

fn matrix_size(text: &str) -> Parsed<MatrixSize> {
    let found = MatrixSize::ALL.into_iter().find(|size| size.to_string() == text);
    let all = MatrixSize::ALL.map(|size| size.to_string()).join(" or ");
    found.ok_or_else(|| format!("cooperative must be {all} or null, is \"{text}\""))
}

fn tuned(key: &str, found: &Value) -> Parsed<Tuned> {
    if key.len() > MOST_TEXT {
        return Err(format!("a shape has at most {MOST_TEXT} characters"));
    }
    let found = fields(found, "a shape", &["choice", "untuned", "milliseconds", "once"])?;
    let choice = |text: &str| -> Parsed<Choice> {
        let choice: Choice = text.parse().map_err(|e: Error| e.to_string())?;
        // Which of a kind a shape can take is seen when it is planned.
        match matches!(choice, Choice::Depthwise { .. }) == key.starts_with("conv2d/depthwise ") {
            true => Ok(choice),
            false => Err(format!("{choice} is none of its candidates")),
        }
    };
    let times = found["milliseconds"].as_object().ok_or("milliseconds must be an object")?;
    let times = times.iter().map(|(text, time)| {
        let time = time.as_f64().filter(|time| *time >= 0.0).ok_or("milliseconds must be numbers from 0 on")?;
        Ok((choice(text)?, time))
    });
    let once = found["once"].as_array().ok_or("once must be a list")?;
    let once = once.iter().map(|text| choice(short(text, "once")?));
    Ok(Tuned {
        choice: choice(short(&found["choice"], "choice")?)?,
        untuned: choice(short(&found["untuned"], "untuned")?)?,
        milliseconds: times.collect::<Parsed<_>>()?,
        once: once.collect::<Parsed<_>>()?,
    })
}

/// The object, if these are its fields.
fn fields<'a>(value: &'a Value, what: &str, names: &[&str]) -> Parsed<&'a Map<String, Value>> {
    let object = value.as_object().filter(|o| o.len() == names.len() && names.iter().all(|name| o.contains_key(*name)));
    object.ok_or_else(|| format!("{what} must be an object of {}", names.join(", ")))
}

fn short<'a>(value: &'a Value, what: &str) -> Parsed<&'a str> {
    let text = value.as_str().filter(|text| text.len() <= MOST_TEXT);
    text.ok_or_else(|| format!("{what} must be text of at most {MOST_TEXT} characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuning() -> Tuning {
        let names = ["Vulkan", "0x10de", "0x2684", "A \"GPU\"", "NVIDIA", "580.1"].map(String::from);
        let [tiled, direct, slow] = ["tiled 8x8", "direct 2", "direct 1"].map(|text| text.parse().unwrap());
        let milliseconds = BTreeMap::from([(tiled, 0.25), (direct, 0.333_333), (slow, 7.5)]);
        let found = Tuned { choice: tiled, untuned: direct, milliseconds, once: BTreeSet::from([slow]) };
        Tuning {
            adapter: Adapter(names),
            precision: Precision::F16,
            cooperative: Some(MatrixSize::Sixteen),
            shapes: BTreeMap::from([("conv2d/pointwise 8x7x7 to 8x7x7 batch 1".into(), found)]),
            left: BTreeSet::from(["conv2d/depthwise 3x3 stride 1x1 8x7x7 to 8x7x7 batch 1".into()]),
        }
    }

    #[test]
    fn a_file_keeps_all_and_reads_well() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tuning.json");
        tuning().save(&path).unwrap();
        assert_eq!(Tuning::load(&path).unwrap(), tuning());
        let text = std::fs::read_to_string(&path).unwrap();
        for part in
            ["\"name\": \"A \\\"GPU\\\"\"", "\"choice\": \"tiled 8x8\"", "\"tiled 8x8\": 0.25", "\"version\": 2"]
        {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "something is left beside the file");
        assert!(tuning().save(folder.path().join("none/tuning.json")).is_err());
        let speed_up = tuning().shapes["conv2d/pointwise 8x7x7 to 8x7x7 batch 1"].speed_up().unwrap();
        assert!((speed_up - 4.0 / 3.0).abs() < 1e-5);
    }

    #[test]
    fn bad_files_are_refused_with_a_reason() {
        let good = tuning().document().to_string();
        assert_eq!(Tuning::parse(&good).unwrap(), tuning());
        for (from, to, reason) in [
            ("\"version\":2", "\"version\":1", "expected version 2, found 1"),
            ("\"version\":2", "\"version\":\"2\"", "expected version 2, found none"),
            ("\"left\":", "\"more\":1,\"left\":", "the file must be an object of version"),
            ("\"driver_info\":\"580.1\"", "\"driver_info\":580", "driver_info must be text"),
            ("\"vendor\":", "\"seller\":", "adapter must be an object of backend"),
            ("\"f16\"", "\"f8\"", "precision must be f32 or f16"),
            ("\"16x16\"", "\"4x4\"", "cooperative must be 8x8 or 16x16 or null, is \"4x4\""),
            ("\"16x16\"", "16", "cooperative must be text"),
            ("\"once\":[\"direct 1\"]", "\"once\":[\"depthwise 64\"]", "depthwise 64 is none of its candidates"),
            ("\"once\":[\"direct 1\"]", "\"once\":1", "once must be a list"),
            ("\"choice\":\"tiled 8x8\"", "\"choice\":\"tiled 9x9\"", "a choice is one of \"tiled 32x16\""),
            ("\"choice\":\"tiled 8x8\"", "\"choice\":\"depthwise 64\"", "depthwise 64 is none of its candidates"),
            ("\"choice\":\"tiled 8x8\"", "\"choice\":8", "choice must be text"),
            ("0.25", "-0.25", "numbers from 0 on"),
            ("0.25", "\"fast\"", "numbers from 0 on"),
            ("conv2d/pointwise", &"x".repeat(2000), "at most 1000 characters"),
            ("[\"conv2d", "[{},\"conv2d", "left must be text"),
            ("{\"adapter\"", "[{\"adapter\"", "it is no JSON"),
        ] {
            let text = good.replacen(from, to, 1);
            assert_ne!(text, good, "{from} is not in {good}");
            let message = Tuning::parse(&text).unwrap_err();
            assert!(message.contains(reason), "{from} to {to}: {message}");
        }
        for length in 0..good.len() {
            assert!(Tuning::parse(&good[..length]).is_err(), "cut off after {length} bytes");
        }
        let deep = "[".repeat(100_000);
        assert!(Tuning::parse(&deep).unwrap_err().contains("no JSON"));
    }

    #[test]
    fn too_many_shapes_are_refused() {
        let one = json!({ "choice": "direct 1", "untuned": "direct 1", "milliseconds": {}, "once": [] });
        let mut document = tuning().document();
        document["shapes"] = (0..=MOST_SHAPES).map(|i| (i.to_string(), one.clone())).collect::<Map<_, _>>().into();
        assert!(Tuning::parse(&document.to_string()).unwrap_err().contains("more than 20000 shapes"));
    }

    #[test]
    fn later_findings_go_before_earlier_ones() {
        let (mut all, mut later) = (tuning(), tuning());
        let left = all.left.first().unwrap().clone();
        later.left.clear();
        later.shapes.clear();
        later.set(&left, Choice::Depthwise { invocations: 64 });
        all.merge(later.clone()).unwrap();
        assert_eq!((all.shapes.len(), all.left.len()), (2, 0));
        let mut without = later.clone();
        without.cooperative = None;
        let message = all.merge(without).unwrap_err().to_string();
        assert!(
            message.ends_with("f16 can't join that of A \"GPU\", Vulkan, NVIDIA, 580.1, f16 with cooperative matrices")
        );
        later.precision = Precision::F32;
        assert!(all.merge(later).unwrap_err().to_string().contains("can't join"));
    }
}
