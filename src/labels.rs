//! What classes are called.

use crate::error::{Error, Result};
use crate::files::{self, Kind};
#[cfg(feature = "zoo")]
use crate::zoo::Pretrained;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

const FILE: Kind = Kind { name: "labels", expected: "a text file", most: 16 << 20 };

/// Names of a network's classes, by index.
///
/// ```
/// use excite::model::Labels;
///
/// assert_eq!(Labels::imagenet1k().name(207), "golden retriever");
/// assert_eq!(Labels::none().name(207), "class 207");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels(Arc<[Cow<'static, str>]>);

impl Labels {
    /// No names: classes are called by their number.
    pub fn none() -> Self {
        Self([].into())
    }

    /// The 1000 classes of ImageNet (ILSVRC 2012) in the order of their WordNet ids, which is timm's and torchvision's.
    /// One name each, no two alike: those of torchvision 0.29, `models/_meta.py`.
    pub fn imagenet1k() -> Self {
        Self(include_str!("../assets/imagenet1k.txt").lines().map(Cow::Borrowed).collect())
    }

    /// `0` to `9`.
    pub fn digits() -> Self {
        Self((0..10).map(|digit| digit.to_string().into()).collect())
    }

    /// The names that come with weights, else those of the set they were trained on: of ImageNet's 1000 classes and of
    /// digits. There are none for other sets.
    #[cfg(feature = "zoo")]
    pub fn of(weights: &Pretrained) -> Self {
        match weights.labels {
            _ if !weights.label_names.is_empty() => {
                Self(weights.label_names.iter().map(|name| name.clone().into()).collect())
            }
            Some("imagenet-1k") => Self::imagenet1k(),
            Some("digits") => Self::digits(),
            _ => Self::none(),
        }
    }

    /// A text file in UTF-8 with a name a line, for a network of so many classes.
    ///
    /// # Errors
    /// The file can't be read, is no UTF-8 or over 16 MiB, has an empty line, or another number of names.
    pub fn from_file(path: impl AsRef<Path>, classes: usize) -> Result<Self> {
        let path = path.as_ref();
        Self::of_text(&files::read_text(path, &FILE)?, path, classes)
    }

    /// The same of bytes in memory; `origin` names them in messages.
    ///
    /// # Errors
    /// As there.
    pub fn from_bytes(bytes: Vec<u8>, origin: &str, classes: usize) -> Result<Self> {
        let path = Path::new(origin);
        Self::of_text(&files::text(path, bytes, &FILE)?, path, classes)
    }

    fn of_text(text: &str, path: &Path, classes: usize) -> Result<Self> {
        let names: Vec<&str> = text.trim_start_matches('\u{feff}').lines().map(str::trim).collect();
        if let Some(empty) = names.iter().position(|name| name.is_empty()) {
            return Err(Error::file(path, format!("expected a label a line, line {} is empty", empty + 1)));
        }
        if names.len() != classes {
            let message = format!("expected {classes} labels, one for each class, found {}", names.len());
            return Err(Error::file(path, message));
        }
        Ok(Self(names.into_iter().map(|name| name.to_string().into()).collect()))
    }

    /// What a class is called.
    pub fn name(&self, class: usize) -> Cow<'_, str> {
        match self.0.get(class) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(format!("class {class}")),
        }
    }
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;
    use crate::zoo;
    use std::collections::BTreeSet;

    #[test]
    fn imagenet_has_1000_names_in_its_order() {
        let labels = Labels::imagenet1k();
        assert_eq!((labels.0.len(), labels.0.iter().collect::<BTreeSet<_>>().len()), (1000, 1000));
        // WordNet's n01440764, n02012849 and n03126707 (two cranes), n15075141.
        for (class, name) in [(0, "tench"), (134, "crane bird"), (517, "crane"), (999, "toilet tissue")] {
            assert_eq!(labels.name(class), name);
        }
        assert!(labels.0.iter().all(|name| name.trim() == name && !name.is_empty()));
    }

    #[test]
    fn weights_have_the_names_of_their_set() {
        let of = |name: &str| Labels::of(&zoo::pretrained(name).unwrap());
        assert_eq!((of("seresnet50"), of("digits_resnet")), (Labels::imagenet1k(), Labels::digits()));
        assert_eq!(of("efficientnet_b5.sw_in12k").name(11820), "class 11820");
        let own = zoo::pretrained("seresnet50").unwrap();
        let own = own.with_config(r#"{"num_classes": 2, "label_names": ["cat", "dog"]}"#).unwrap();
        assert_eq!(Labels::of(&own).name(1), "dog");
    }

    #[test]
    fn files_have_a_name_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.txt");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let message = |e: Error| e.to_string().split_once("labels.txt: ").unwrap().1.to_string();
            let of_bytes = Labels::from_bytes(bytes.into(), "labels.txt", 2).map_err(message);
            let of_file = Labels::from_file(&path, 2).map_err(message);
            assert_eq!(of_bytes, of_file);
            of_file
        };
        let expected = Ok(Labels(["Katze".into(), "Hündin, groß".into()].into()));
        assert_eq!(read("Katze\nHündin, groß".as_bytes()), expected);
        assert_eq!(read("\u{feff}Katze\r\nHündin, groß\r\n".as_bytes()), expected);
        for (bytes, message) in [
            (&b"one"[..], "expected 2 labels, one for each class, found 1"),
            (b"one\ntwo\nthree\n", "expected 2 labels, one for each class, found 3"),
            (b"", "expected 2 labels, one for each class, found 0"),
            (b"one\n\ntwo\n", "expected a label a line, line 2 is empty"),
            (b"one\n\xff\n", "expected a text file in UTF-8, found other bytes"),
        ] {
            assert_eq!(read(bytes).unwrap_err(), message);
        }
        let long = Labels::from_bytes(vec![b'\n'; (16 << 20) + 1], "x", 2).unwrap_err().to_string();
        assert_eq!(long, "x: expected a text file of at most 16777216 bytes, found 16777217");
    }
}
