//! Trained weights by name: how they want their images, what they tell apart, where they are, how good they are.
//!
//! The tables are `assets/timm.csv`, written by `tools/timm_contract.py`, and `assets/own.csv` for what timm has not.

use super::entry;
use crate::error::{Error, Result};
use crate::preprocess::{Interpolation, Preprocess, Resize};
use std::str::FromStr;
use std::sync::OnceLock;

const TABLES: [&str; 2] = [include_str!("../../assets/timm.csv"), include_str!("../../assets/own.csv")];

/// What is known of the weights of a name such as `seresnet50.a1_in1k`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Pretrained {
    /// The architecture and, where there is one, the tag: `seresnet50.a1_in1k`.
    pub name: &'static str,
    /// The network's name in the zoo; empty where it is none of them.
    pub architecture: &'static str,
    /// What tells apart weights of one architecture; `untrained` where timm has settings but no weights.
    pub tag: Option<&'static str>,
    /// Repository on the Hugging Face hub.
    pub hub: Option<&'static str>,
    /// How images are prepared.
    pub preprocess: Preprocess,
    /// Size and crop for evaluation, where timm gives others than for training. [`Pretrained::test_preprocess`] uses
    /// them.
    pub test: Option<TestSize>,
    /// Number of classes.
    pub classes: usize,
    /// What the classes are, by timm's names: `imagenet-1k`, `imagenet-12k`, `imagenet-21k-miil`, `imagenet-21k-goog`;
    /// ours are `places365`, `cifar-10`, `cifar-100`, `digits`. None: not known.
    pub labels: Option<&'static str>,
    /// Names of the classes, as a configuration gives them; empty where it gives none.
    pub label_names: Vec<String>,
    /// Licence of the weights, as timm states it.
    pub license: Option<&'static str>,
    /// Published accuracy on ImageNet's validation set, best known settings last.
    pub accuracy: Vec<Accuracy>,
}

/// Height and width, and the crop's share, that weights are evaluated at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TestSize {
    /// Height and width.
    pub size: [usize; 2],
    /// As [`Preprocess::crop_pct`].
    pub crop_pct: f64,
}

/// A published accuracy. Source: timm's `results/results-imagenet.csv`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// Share of the images whose first guess is right, in percent.
    pub top1: f64,
    /// Share of the images with a right guess among the first five, in percent.
    pub top5: f64,
    /// Side of the square input, in pixels.
    pub size: usize,
    /// As [`Preprocess::crop_pct`].
    pub crop_pct: f64,
}

impl Pretrained {
    /// What is assumed of a network that is none of the zoo's and says nothing itself: timm's defaults for ImageNet,
    /// which are 224x224, a crop of 0.875, bicubic, ImageNet's mean and deviation; its labels where there are 1000
    /// classes.
    pub fn assumed(classes: usize) -> Self {
        Self {
            name: "",
            architecture: "",
            tag: None,
            hub: None,
            preprocess: Preprocess {
                channels: 3,
                size: [224, 224],
                resize: Resize::Shorter,
                crop_pct: 0.875,
                interpolation: Interpolation::Bicubic,
                mean: [0.485, 0.456, 0.406],
                std: [0.229, 0.224, 0.225],
            },
            test: None,
            classes,
            labels: (classes == 1000).then_some("imagenet-1k"),
            label_names: Vec::new(),
            license: None,
            accuracy: Vec::new(),
        }
    }

    /// The same for images of 1 or 3 channels. A network for the other number is normalised by the mean of what this says
    /// for its channels, as long as a configuration says nothing else.
    ///
    /// # Errors
    /// Images have other numbers of channels.
    pub fn with_channels(mut self, channels: usize) -> Result<Self> {
        if !matches!(channels, 1 | 3) {
            return Err(Error::Request(format!("images have 1 or 3 channels, not {channels}")));
        }
        let preprocess = &mut self.preprocess;
        if channels != preprocess.channels {
            preprocess.channels = channels;
            for values in [&mut preprocess.mean, &mut preprocess.std] {
                *values = [values.iter().sum::<f32>() / 3.0; 3];
            }
            // Published of another network.
            (self.hub, self.accuracy) = (None, Vec::new());
        }
        Ok(self)
    }

    /// How images are prepared at the size for evaluation: as [`Pretrained::preprocess`] where there is no other.
    pub fn test_preprocess(&self) -> Preprocess {
        let mut preprocess = self.preprocess.clone();
        if let Some(TestSize { size, crop_pct }) = self.test {
            (preprocess.size, preprocess.crop_pct) = (size, crop_pct);
        }
        preprocess
    }
}

/// What is known of weights: of these where `name` has a tag, else of timm's default ones for the architecture.
///
/// ```
/// let weights = excite::zoo::pretrained("seresnet50.ra2_in1k")?;
/// assert_eq!(weights.hub, Some("timm/seresnet50.ra2_in1k"));
/// assert_eq!((weights.preprocess.crop_pct, weights.accuracy[0].top1), (0.875, 80.26));
/// assert_eq!(excite::zoo::pretrained("seresnet50")?.tag, Some("a1_in1k"));
/// # Ok::<(), excite::Error>(())
/// ```
///
/// # Errors
/// There is no such network, or it has no such tag; the message has near names, or the tags there are.
pub fn pretrained(name: &str) -> Result<Pretrained> {
    if let Some(found) = rows().iter().find(|row| row.name == name || row.architecture == name) {
        return Ok(found.clone());
    }
    let (architecture, tag) = name.split_once('.').unwrap_or((name, ""));
    let known = entry(architecture)?.name;
    let tagged = || rows().iter().filter(|row| row.architecture == known && row.tag.is_some());
    let tags: Vec<&str> = tagged().filter_map(|row| row.tag).collect();
    let tags = if tags.is_empty() { "no tags".into() } else { tags.join(", ") };
    let message = format!("{architecture} has no weights tagged \"{tag}\"; it has {tags}");
    Err(Error::UnknownModel { name: name.into(), near: tagged().map(|row| row.name.to_string()).collect(), message })
}

/// All names with a tag that [`pretrained`] knows, an architecture's default first.
pub fn pretrained_names() -> Vec<&'static str> {
    rows().iter().filter(|row| row.tag.is_some()).map(|row| row.name).collect()
}

fn rows() -> &'static [Pretrained] {
    static ROWS: OnceLock<Vec<Pretrained>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let lines = TABLES.iter().flat_map(|table| table.lines());
        let rows = lines.filter(|line| !line.starts_with('#') && !line.starts_with("name,"));
        rows.map(|line| row(line).unwrap_or_else(|| panic!("tests read every row of our tables: {line}"))).collect()
    })
}

/// One line of a table.
fn row(line: &'static str) -> Option<Pretrained> {
    let fields: Vec<&str> = line.split(',').collect();
    let &[name, input, crop, test, test_crop, interpolation, mode, mean, std, classes, labels, hub, license, accuracy] =
        fields.as_slice()
    else {
        return None;
    };
    let some = |text: &'static str| (!text.is_empty()).then_some(text);
    let (architecture, tag) = name.split_once('.').map_or((name, None), |(name, tag)| (name, Some(tag)));
    let (mean, std): (Vec<f32>, Vec<f32>) = (numbers(mean)?, numbers(std)?);
    let crop_pct = crop.parse().ok()?;
    let test_crop = if test_crop.is_empty() { crop_pct } else { test_crop.parse().ok()? };
    let square = |side: &str| side.parse().ok().map(|side: usize| [side; 2]);
    let test = match test {
        "" => None,
        side => Some(TestSize { size: square(side)?, crop_pct: test_crop }),
    };
    Some(Pretrained {
        name,
        architecture,
        tag,
        hub: some(hub),
        preprocess: Preprocess {
            channels: mean.len(),
            size: square(input)?,
            resize: resize(mode)?,
            crop_pct,
            interpolation: self::interpolation(interpolation)?,
            mean: three(&mean)?,
            std: three(&std)?,
        },
        test,
        classes: classes.parse().ok()?,
        labels: some(labels),
        label_names: Vec::new(),
        license: some(license),
        accuracy: accuracy.split_whitespace().map(measurement).collect::<Option<_>>()?,
    })
}

/// `top1;top5@size/crop_pct`.
fn measurement(text: &str) -> Option<Accuracy> {
    let (shares, settings) = text.split_once('@')?;
    let (top1, top5) = shares.split_once(';')?;
    let (size, crop) = settings.split_once('/')?;
    Some(Accuracy {
        top1: top1.parse().ok()?,
        top5: top5.parse().ok()?,
        size: size.parse().ok()?,
        crop_pct: crop.parse().ok()?,
    })
}

fn numbers<T: FromStr>(text: &str) -> Option<Vec<T>> {
    text.split(' ').map(|number| number.parse().ok()).collect()
}

/// One value a channel, as an array for colour; gray repeats its one.
pub(super) fn three(values: &[f32]) -> Option<[f32; 3]> {
    match *values {
        [gray] => Some([gray; 3]),
        [r, g, b] => Some([r, g, b]),
        _ => None,
    }
}

/// By timm's name.
pub(super) fn interpolation(name: &str) -> Option<Interpolation> {
    match name {
        "bilinear" => Some(Interpolation::Bilinear),
        "bicubic" => Some(Interpolation::Bicubic),
        _ => None,
    }
}

/// By timm's name of the crop mode.
pub(super) fn resize(crop_mode: &str) -> Option<Resize> {
    match crop_mode {
        "center" => Some(Resize::Shorter),
        "squash" => Some(Resize::Squash),
        "border" => Some(Resize::Border),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, build, entries};
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_is_of_the_zoo_and_every_network_has_one() {
        let mut names = BTreeSet::new();
        for row in rows() {
            assert!(names.insert(row.name), "{} is there twice", row.name);
            let entry = entry(row.architecture).unwrap();
            assert_eq!(row.preprocess.channels, entry.input.channels(), "{}", row.name);
            row.preprocess.check().unwrap_or_else(|e| panic!("{}: {e}", row.name));
            row.test_preprocess().check().unwrap_or_else(|e| panic!("{}: {e}", row.name));
            let [height, width] = row.preprocess.size;
            assert!(height.min(width) >= entry.smallest, "{}", row.name);
            let plausible = |x: &Accuracy| 50.0 < x.top1 && x.top1 < x.top5 - 2.0 && x.top5 < 99.5;
            assert!(row.accuracy.iter().all(plausible), "{}", row.name);
            assert!(row.labels.is_some(), "{}", row.name);
            assert!(row.hub.is_none_or(|hub| hub == format!("timm/{}", row.name)), "{}", row.name);
        }
        for entry in entries() {
            let default = pretrained(entry.name).unwrap();
            assert_eq!(default.preprocess.size, [entry.input.height(), entry.input.width()], "{}", entry.name);
            assert_eq!(default.classes, entry.classes, "{}", entry.name);
        }
        assert!(pretrained_names().len() > 130);
    }

    #[test]
    fn settings_are_those_of_the_tag() {
        let of = |name: &str| pretrained(name).unwrap();
        let seresnet = of("seresnet50");
        assert_eq!((seresnet.name, seresnet.tag), ("seresnet50.a1_in1k", Some("a1_in1k")));
        assert_eq!(seresnet.test, Some(TestSize { size: [288; 2], crop_pct: 1.0 }));
        assert_eq!(seresnet.accuracy[1], Accuracy { top1: 81.114, top5: 95.122, size: 288, crop_pct: 1.0 });
        assert_eq!(of("resnetrs50").test_preprocess().crop_pct, 0.91);
        assert_eq!(of("tf_efficientnet_b0.ap_in1k").preprocess.mean, [0.5; 3]);
        assert_eq!(of("tf_efficientnet_b0.in1k").preprocess.mean, [0.485, 0.456, 0.406]);
        assert_eq!(of("efficientnet_b5").preprocess.resize, Resize::Squash);
        assert_eq!(of("legacy_seresnet50").preprocess.interpolation, Interpolation::Bilinear);
        assert_eq!(of("legacy_seresnet18").preprocess.interpolation, Interpolation::Bicubic);
        assert_eq!(of("legacy_seresnet50").hub, None);
        assert_eq!((of("se_wrn16_8_cifar10").preprocess.mean[0], of("se_vgg16").tag), (0.4914, None));
    }

    #[test]
    fn a_tag_decides_classes_and_size() {
        let graph = build("efficientnet_b5.sw_in12k", &Options::default()).unwrap();
        assert_eq!(graph.output_shape().channels(), 11821);
        assert_eq!(graph.input_shape().height(), 416);
        let graph = build("seresnet50.a3_in1k", &Options { classes: Some(7), ..Default::default() }).unwrap();
        assert_eq!((graph.output_shape().channels(), graph.input_shape().width()), (7, 160));
    }

    #[test]
    fn unknown_names_are_told_what_there_is() {
        let error = |name: &str| pretrained(name).unwrap_err().to_string();
        assert_eq!(
            error("seresnet50.a9_in1k"),
            "seresnet50 has no weights tagged \"a9_in1k\"; it has a1_in1k, a2_in1k, a3_in1k, ra2_in1k"
        );
        assert_eq!(error("se_vgg16.in1k"), "se_vgg16 has no weights tagged \"in1k\"; it has no tags");
        assert!(error("seresnet5O.a1_in1k").contains("did you mean seresnet50"));
        assert!(build("seresnet50.a9_in1k", &Options::default()).is_err());
    }
}
