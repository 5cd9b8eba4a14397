//! A hub's `config.json` beside the weights: what it says goes before our tables.

use super::pretrained::{interpolation, resize, three};
use super::{Pretrained, TestSize, entry, pretrained};
use crate::error::{Error, Result};
use crate::files::{self, Kind};
use serde_json::{Map, Value};
use std::path::Path;

/// Largest configuration read, in bytes: names of 21,843 classes fit.
const MAX_BYTES: usize = 1 << 20;

/// Keys that say nothing about how images are prepared or answers read.
const IRRELEVANT: &[&str] = &[
    "classifier",
    "custom_load",
    "description",
    "file",
    "first_conv",
    "fixed_input_size",
    "hf_hub_filename",
    "hf_hub_id",
    "label_descriptions",
    "label_offset",
    "min_input_size",
    "notes",
    "num_features",
    "origin_url",
    "paper_ids",
    "paper_name",
    "pool_size",
    "source",
    "state_dict",
    "test_pool_size",
    "url",
];

impl Pretrained {
    /// The same, as a timm `config.json` says it: settings, classes, names of the classes. What it leaves out stays.
    /// Weights of another tag lose what the table says of this one's, unless the table knows them too.
    ///
    /// # Errors
    /// It is no JSON or over 1 MiB, a value has the wrong type or makes no sense, or it is another architecture's. The
    /// message names the key.
    pub fn with_config(self, json: &str) -> Result<Self> {
        if json.len() > MAX_BYTES {
            return refuse(format!("expected at most {MAX_BYTES} bytes, found {}", json.len()));
        }
        let root: Value =
            serde_json::from_str(json).map_err(|e| Error::Request(format!("config.json: is not sound JSON: {e}")))?;
        let Value::Object(root) = &root else { return refuse("expected an object".into()) };
        // Before timm 0.9 the settings were keys of the root.
        let settings = object(root, "pretrained_cfg")?.unwrap_or(root);
        warn_of_unknown(root, settings);
        let row = self.checked_against(root, settings)?;
        // Settings are those of the origin, which a network for another number of channels may have begun as.
        let origin = get(settings, "input_size", "a list", Value::as_array)?.and_then(|size| size.first()?.as_u64());
        let row = row.with_stated_channels(origin)?.with_settings(root, settings)?;
        let own = match object(root, "model_args")? {
            Some(args) => whole(args, "in_chans")?,
            None => None,
        };
        row.with_stated_channels(own.map(|channels| channels as u64))
    }

    /// As [`Pretrained::with_config`], from a file.
    ///
    /// # Errors
    /// It can't be read, or its contents are refused.
    pub fn with_config_file(self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let kind = Kind { name: "configuration", expected: "a configuration", most: MAX_BYTES as u64 };
        let text = files::read_text(path, &kind)?;
        self.with_config(&text).map_err(|e| Error::file(path, e.to_string()))
    }

    fn with_stated_channels(self, channels: Option<u64>) -> Result<Self> {
        let Some(channels) = channels else { return Ok(self) };
        let channels = channels.try_into().unwrap_or(usize::MAX);
        self.with_channels(channels).map_err(|e| Error::Request(format!("config.json: {e}")))
    }

    /// This row, or that of the configuration's tag, if it is for this architecture.
    fn checked_against(self, root: &Map<String, Value>, settings: &Map<String, Value>) -> Result<Self> {
        if self.architecture.is_empty() {
            return Ok(self);
        }
        for of in [root, settings] {
            if let Some(architecture) = text(of, "architecture")? {
                // timm calls ours differently.
                let known = if architecture == "legacy_xception" { "xception" } else { architecture };
                if known != self.architecture {
                    return refuse(format!("is for {architecture}, the network is {}", self.architecture));
                }
            }
        }
        for (key, value) in object(root, "model_args")?.into_iter().flatten() {
            let same = match key.as_str() {
                "global_pool" => value == "avg",
                // Read with the settings; dropping is for training.
                "in_chans" | "num_classes" | "drop_rate" | "drop_path_rate" | "drop_block_rate" => true,
                _ => value.is_null(),
            };
            if !same {
                return refuse(format!("model_args: {key} = {value} makes another network of {}", self.architecture));
            }
        }
        if let Some(pool) = text(root, "global_pool")?
            && pool != "avg"
        {
            return refuse(format!("global_pool: expected avg, found {pool}"));
        }
        match text(settings, "tag")?.filter(|tag| !tag.is_empty()) {
            Some(tag) if Some(tag) == self.tag => Ok(self),
            Some(tag)
                if tag != "untrained"
                    && let Ok(other) = pretrained(&format!("{}.{tag}", self.architecture)) =>
            {
                Ok(other)
            }
            _ => {
                Ok(Self { name: self.architecture, tag: None, hub: None, license: None, accuracy: Vec::new(), ..self })
            }
        }
    }

    fn with_settings(mut self, root: &Map<String, Value>, settings: &Map<String, Value>) -> Result<Self> {
        let preprocess = &mut self.preprocess;
        if let Some(size) = size(settings, "input_size", preprocess.channels)? {
            // Sizes for evaluation go with those for training.
            (preprocess.size, self.test) = (size, None);
        }
        if let Some(crop_pct) = number(settings, "crop_pct")? {
            preprocess.crop_pct = crop_pct;
        }
        if let Some(name) = text(settings, "interpolation")? {
            preprocess.interpolation = interpolation(name).ok_or_else(|| {
                Error::Request(format!("config.json: interpolation: expected bilinear or bicubic, found {name}"))
            })?;
        }
        if let Some(name) = text(settings, "crop_mode")? {
            preprocess.resize = resize(name).ok_or_else(|| {
                Error::Request(format!("config.json: crop_mode: expected center, squash or border, found {name}"))
            })?;
        }
        if let Some(mean) = channels(settings, "mean", preprocess.channels)? {
            preprocess.mean = mean;
        }
        if let Some(std) = channels(settings, "std", preprocess.channels)? {
            preprocess.std = std;
        }
        let test_size = size(settings, "test_input_size", preprocess.channels)?;
        let test_crop = number(settings, "test_crop_pct")?;
        if test_size.is_some() || test_crop.is_some() {
            let size = test_size.unwrap_or(preprocess.size);
            self.test = Some(TestSize { size, crop_pct: test_crop.unwrap_or(preprocess.crop_pct) });
        }
        // The root's number is that of a fine-tuned head, `pretrained_cfg` may still have its origin's.
        let mut classes = whole(root, "num_classes")?;
        for from in [object(root, "model_args")?, Some(settings)].into_iter().flatten() {
            classes = classes.or(whole(from, "num_classes")?);
        }
        if let Some(classes) = classes
            && classes != self.classes
        {
            (self.classes, self.labels) = (classes, None);
        }
        if let Some(names) = names(root)?.or(names(settings)?) {
            if names.len() != self.classes {
                return refuse(format!("label_names: expected {} names, found {}", self.classes, names.len()));
            }
            self.label_names = names;
        }
        let smallest = if self.architecture.is_empty() { 1 } else { entry(self.architecture)?.smallest };
        for preprocess in [&self.preprocess, &self.test_preprocess()] {
            preprocess.check().map_err(|e| Error::Request(format!("config.json: {e}")))?;
            if preprocess.size.iter().any(|&side| side < smallest) {
                let [height, width] = preprocess.size;
                return refuse(format!("input_size: expected at least {smallest}x{smallest}, found {height}x{width}"));
            }
        }
        Ok(self)
    }
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::Request(format!("config.json: {message}")))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What `read` makes of the value of a key; null is as good as no key.
fn get<'a, T>(
    of: &'a Map<String, Value>,
    key: &str,
    expected: &str,
    read: impl Fn(&'a Value) -> Option<T>,
) -> Result<Option<T>> {
    match of.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match read(value) {
            Some(read) => Ok(Some(read)),
            None => {
                let shown = value.to_string();
                let shown = if shown.len() > 60 { kind(value) } else { &shown };
                refuse(format!("{key}: expected {expected}, found {shown}"))
            }
        },
    }
}

fn text<'a>(of: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>> {
    get(of, key, "a string", Value::as_str)
}

fn object<'a>(of: &'a Map<String, Value>, key: &str) -> Result<Option<&'a Map<String, Value>>> {
    get(of, key, "an object", Value::as_object)
}

fn number(of: &Map<String, Value>, key: &str) -> Result<Option<f64>> {
    get(of, key, "a number above 0 and at most 1", |v| v.as_f64().filter(|&x| x > 0.0 && x <= 1.0))
}

fn whole(of: &Map<String, Value>, key: &str) -> Result<Option<usize>> {
    get(of, key, "a number of at least 1", |v| v.as_u64().filter(|&n| n > 0).and_then(|n| n.try_into().ok()))
}

/// `[channels, height, width]`.
fn size(of: &Map<String, Value>, key: &str, channels: usize) -> Result<Option<[usize; 2]>> {
    get(of, key, &format!("[{channels}, height, width]"), |value| {
        let sizes: Vec<u64> = value.as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?;
        let &[found, height, width] = sizes.as_slice() else { return None };
        (found == channels as u64).then_some([height.try_into().ok()?, width.try_into().ok()?])
    })
}

fn channels(of: &Map<String, Value>, key: &str, channels: usize) -> Result<Option<[f32; 3]>> {
    get(of, key, &format!("{channels} numbers"), |value| {
        let values: Vec<f32> = value.as_array()?.iter().map(|x| x.as_f64().map(|x| x as f32)).collect::<Option<_>>()?;
        three(&values).filter(|_| values.len() == channels)
    })
}

fn names(of: &Map<String, Value>) -> Result<Option<Vec<String>>> {
    get(of, "label_names", "a list of strings", |value| {
        value.as_array()?.iter().map(|name| name.as_str().map(str::to_string)).collect()
    })
}

fn warn_of_unknown(root: &Map<String, Value>, settings: &Map<String, Value>) {
    const READ: &[&str] = &[
        "architecture",
        "crop_mode",
        "crop_pct",
        "global_pool",
        "input_size",
        "interpolation",
        "label_names",
        "license",
        "mean",
        "model_args",
        "num_classes",
        "pretrained_cfg",
        "std",
        "tag",
        "test_crop_pct",
        "test_input_size",
    ];
    let keys = root.keys().chain(settings.keys()).map(String::as_str);
    let mut unknown: Vec<&str> = keys.filter(|key| !READ.contains(key) && !IRRELEVANT.contains(key)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    if !unknown.is_empty() {
        unknown.truncate(8);
        log::warn!("config.json: ignored what is not known: {}", unknown.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::{Interpolation, Preprocess, Resize};

    fn with(name: &str, json: &str) -> Result<Pretrained> {
        pretrained(name).unwrap().with_config(json)
    }

    #[test]
    fn a_configuration_goes_before_the_table() {
        let json = r#"{
            "architecture": "seresnet50", "num_classes": 2, "num_features": 2048, "global_pool": "avg", "odd": 1,
            "label_names": ["cat", "dog"],
            "pretrained_cfg": {
                "tag": "mine", "input_size": [3, 160, 192], "test_input_size": null, "test_crop_pct": 1.0, "crop_pct": 0.9,
                "interpolation": "bilinear", "crop_mode": "border", "mean": [0, 0.5, 1], "std": [0.5, 0.25, 1],
                "num_classes": 1000
            }
        }"#;
        let found = with("seresnet50", json).unwrap();
        let expected = Pretrained {
            name: "seresnet50",
            architecture: "seresnet50",
            tag: None,
            hub: None,
            preprocess: Preprocess {
                channels: 3,
                size: [160, 192],
                resize: Resize::Border,
                crop_pct: 0.9,
                interpolation: Interpolation::Bilinear,
                mean: [0.0, 0.5, 1.0],
                std: [0.5, 0.25, 1.0],
            },
            test: Some(TestSize { size: [160, 192], crop_pct: 1.0 }),
            classes: 2,
            labels: None,
            label_names: vec!["cat".into(), "dog".into()],
            license: None,
            accuracy: Vec::new(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_network_that_is_none_of_the_zoos_takes_any_architectures_configuration() {
        let json = r#"{"architecture": "mine", "global_pool": "max", "num_classes": 2, "label_names": ["cat", "dog"],
            "pretrained_cfg": {"tag": "a", "input_size": [3, 8, 16], "crop_pct": 1.0}}"#;
        let found = Pretrained::assumed(1000).with_config(json).unwrap();
        let mut expected = Pretrained { label_names: vec!["cat".into(), "dog".into()], ..Pretrained::assumed(2) };
        (expected.preprocess.size, expected.preprocess.crop_pct) = ([8, 16], 1.0);
        assert_eq!(found, expected);
    }

    #[test]
    fn timms_own_configuration_changes_nothing() {
        let row = pretrained("seresnet50.ra2_in1k").unwrap();
        let json = r#"{"architecture": "seresnet50", "num_classes": 1000, "num_features": 2048,
            "global_pool": "avg", "model_args": {"in_chans": 3, "num_classes": 1000, "global_pool": "avg"},
            "pretrained_cfg": {"tag": "ra2_in1k", "custom_load": false, "input_size": [3, 224, 224],
            "test_input_size": [3, 288, 288], "fixed_input_size": false, "interpolation": "bicubic", "crop_pct": 0.875,
            "test_crop_pct": 0.95, "crop_mode": "center", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
            "num_classes": 1000, "pool_size": [7, 7], "first_conv": "conv1", "classifier": "fc"}}"#;
        assert_eq!(row.clone().with_config(json).unwrap(), row);
        // The configuration says whose weights these are.
        assert_eq!(with("seresnet50", json).unwrap(), row);
        assert_eq!(with("seresnet50", "{}").unwrap().preprocess, pretrained("seresnet50").unwrap().preprocess);
        assert!(with("xception", r#"{"architecture": "legacy_xception"}"#).is_ok());
    }

    #[test]
    fn gray_images_are_normalised_by_what_is_said_for_them_or_else_by_the_mean_of_colours() {
        let of = |json: &str| with("seresnet18", json).unwrap().preprocess;
        let [mean, std] = [(0.485 + 0.456 + 0.406) / 3.0, (0.229 + 0.224 + 0.225) / 3.0];
        // As timm writes it for `in_chans=1`: the settings are those of the weights that training began with.
        let begun = r#"{"model_args": {"in_chans": 1}, "pretrained_cfg": {"input_size": [3, 192, 192],
            "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}"#;
        let stated = r#"{"pretrained_cfg": {"input_size": [1, 192, 192], "mean": [0.5], "std": [0.25]}}"#;
        let unsaid = r#"{"input_size": [1, 192, 192]}"#;
        for (json, mean, std) in [(begun, mean, std), (stated, 0.5, 0.25), (unsaid, mean, std)] {
            let found = of(json);
            assert_eq!((found.channels, found.size), (1, [192; 2]), "{json}");
            assert!(found.mean.iter().all(|x| (x - mean).abs() < 1e-6), "{json}: {:?}", found.mean);
            assert!(found.std.iter().all(|x| (x - std).abs() < 1e-6), "{json}: {:?}", found.std);
        }
        assert!(with("seresnet18", begun).unwrap().accuracy.is_empty());
        let gray = pretrained("digits_seresnet").unwrap().with_channels(3).unwrap().preprocess;
        assert_eq!((gray.channels, gray.mean, gray.std), (3, [0.0; 3], [1.0; 3]));
        assert!(pretrained("seresnet18").unwrap().with_channels(4).is_err());
    }

    #[test]
    fn nonsense_is_refused_by_key() {
        let cases = [
            ("{", "is not sound JSON"),
            ("[]", "expected an object"),
            (r#"{"pretrained_cfg": 1}"#, "pretrained_cfg: expected an object, found 1"),
            (r#"{"architecture": "seresnet101"}"#, "is for seresnet101, the network is seresnet50"),
            (r#"{"architecture": 5}"#, "architecture: expected a string, found 5"),
            (r#"{"model_args": {"width": 2}}"#, "model_args: width = 2 makes another network of seresnet50"),
            (r#"{"model_args": {"in_chans": 4}}"#, "images have 1 or 3 channels, not 4"),
            (r#"{"model_args": {"in_chans": "1"}}"#, "in_chans: expected a number of at least 1, found \"1\""),
            (r#"{"model_args": {"num_classes": -1}}"#, "num_classes: expected a number of at least 1, found -1"),
            (r#"{"model_args": []}"#, "model_args: expected an object, found []"),
            (r#"{"global_pool": "max"}"#, "global_pool: expected avg, found max"),
            (r#"{"num_classes": 0}"#, "num_classes: expected a number of at least 1, found 0"),
            (r#"{"num_classes": "10"}"#, "num_classes: expected a number of at least 1, found \"10\""),
            (r#"{"input_size": [3, 0, 224]}"#, "size must be 1 to 8192 a side, is 0x224"),
            (r#"{"input_size": [3, 8, 224]}"#, "input_size: expected at least 32x32, found 8x224"),
            (r#"{"input_size": [2, 224, 224]}"#, "images have 1 or 3 channels, not 2"),
            (r#"{"input_size": [1, 224, 224], "mean": [0, 0, 0]}"#, "mean: expected 1 numbers, found [0,0,0]"),
            (r#"{"input_size": [3, 224]}"#, "input_size: expected [3, height, width], found [3,224]"),
            (r#"{"input_size": [3, 1e9, 1e9]}"#, "input_size: expected [3, height, width]"),
            (r#"{"input_size": [3, 999999, 224]}"#, "size must be 1 to 8192 a side, is 999999x224"),
            (r#"{"test_input_size": [3, 99999, 224]}"#, "size must be 1 to 8192 a side"),
            (r#"{"crop_pct": 1.5}"#, "crop_pct: expected a number above 0 and at most 1, found 1.5"),
            (r#"{"crop_pct": -1}"#, "crop_pct: expected a number above 0 and at most 1, found -1"),
            (r#"{"interpolation": "lanczos"}"#, "interpolation: expected bilinear or bicubic, found lanczos"),
            (r#"{"crop_mode": "left"}"#, "crop_mode: expected center, squash or border, found left"),
            (r#"{"mean": [0, 0]}"#, "mean: expected 3 numbers, found [0,0]"),
            (r#"{"std": [1, 0, 1]}"#, "mean must be finite and std above 0"),
            (r#"{"mean": [1e300, 0, 0]}"#, "mean must be finite and std above 0"),
            (r#"{"label_names": ["a"]}"#, "label_names: expected 1000 names, found 1"),
            (r#"{"label_names": [1]}"#, "label_names: expected a list of strings, found [1]"),
        ];
        for (json, message) in cases {
            let error = with("seresnet50", json).unwrap_err().to_string();
            assert!(error.starts_with("config.json: ") && error.contains(message), "{json}: {error}");
        }
        let long = format!("{{\"notes\": \"{}\"}}", "x".repeat(MAX_BYTES));
        assert!(with("seresnet50", &long).unwrap_err().to_string().contains("at most 1048576 bytes"));
        let deep = "[".repeat(100_000);
        assert!(with("seresnet50", &deep).unwrap_err().to_string().contains("is not sound JSON"));
    }

    #[test]
    fn a_file_is_read_within_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let error = || pretrained("seresnet50").unwrap().with_config_file(&path).unwrap_err().to_string();
        assert!(error().contains("can't read the configuration"));
        std::fs::write(&path, vec![b' '; MAX_BYTES + 1]).unwrap();
        assert!(error().contains("at most 1048576 bytes"), "{}", error());
        std::fs::write(&path, [0xff]).unwrap();
        assert!(error().contains("in UTF-8, found other bytes"));
        std::fs::write(&path, r#"{"num_classes": 5}"#).unwrap();
        assert_eq!(pretrained("seresnet50").unwrap().with_config_file(&path).unwrap().classes, 5);
    }
}
