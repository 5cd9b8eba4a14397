//! How large a network's values get: what half precision must have room for.

use crate::error::{Error, Result};
use crate::files::{self, Kind};
use crate::graph::Graph;
use crate::ops::{Gating, Op};
use crate::tensor::Shape;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The largest number of half precision.
pub(crate) const LARGEST_HALF: f32 = 65504.0;

/// A file of ranges. Those of the largest network of the zoo have 100 KB.
const FILE: Kind = Kind { name: "ranges", expected: "a file of ranges", most: 16 << 20 };

/// The largest absolute number of every value of a network, from a calibration run:
/// [`crate::plan::PlanOptions::ranges`] takes it.
///
/// ```no_run
/// use excite::plan::{PlanOptions, Ranges};
/// use excite::{Gpu, Precision, Tensor, Weights, zoo};
/// use std::sync::Arc;
///
/// let graph = zoo::build("seresnet50", &zoo::Options::default())?;
/// let weights = Weights::open("seresnet50.safetensors")?;
/// let images = Tensor::zeros([8, 3, 224, 224]); // some that are like those to come
/// let ranges = Ranges::measure(&Gpu::new()?, &graph, &weights, &images)?;
/// ranges.save("seresnet50.ranges.json")?;
/// let options = PlanOptions::default().precision(Precision::F16).ranges(Arc::new(ranges));
/// # Ok::<(), excite::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges {
    network: String,
    largest: BTreeMap<String, f32>,
}

impl Ranges {
    /// A value fits half precision if this many times its largest number does: other images than those measured may make
    /// it larger.
    pub const MARGIN: f32 = 4.0;

    /// No values of a network yet.
    pub(crate) fn of(network: &str) -> Self {
        Self { network: network.into(), largest: BTreeMap::new() }
    }

    /// Has the value of a node reach `largest` at least.
    pub(crate) fn raise(&mut self, node: &str, largest: f32) {
        let known = self.largest.entry(node.into()).or_insert(0.0);
        *known = known.max(largest);
    }

    /// The largest absolute number of a node's value.
    pub fn largest(&self, node: &str) -> Option<f32> {
        self.largest.get(node).copied()
    }

    /// Values and their largest absolute numbers, the largest first.
    pub fn descending(&self) -> Vec<(&str, f32)> {
        let mut all: Vec<(&str, f32)> = self.largest.iter().map(|(name, &largest)| (name.as_str(), largest)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all
    }

    /// Refuses a prepared graph with maps that half precision might have no room for, or that were not measured.
    pub(crate) fn check(&self, graph: &Graph) -> Result<()> {
        let fail = |message: String| Err(Error::Graph { graph: graph.name().into(), message });
        let maps = graph.nodes().iter().filter(|node| matches!(node.shape, Shape::Map { .. }));
        let maps = maps.map(|node| (node.name.clone(), self.largest(&node.name)));
        let maps: Vec<(String, Option<f32>)> = maps.chain(self.scaled(graph)).collect();
        if let Some((name, _)) = maps.iter().find(|(_, largest)| largest.is_none()) {
            return fail(format!("its ranges, measured of \"{}\", have no value \"{name}\"", self.network));
        }
        let too_large = maps.iter().filter(|(_, largest)| largest.is_some_and(|x| x * Self::MARGIN > LARGEST_HALF));
        let too_large: Vec<String> =
            too_large.map(|(name, largest)| format!("\"{name}\" reaches {}", largest.unwrap_or_default())).collect();
        if too_large.is_empty() {
            return Ok(());
        }
        fail(format!(
            "too large for half precision, which ends at {LARGEST_HALF}, with a margin of {}: {}; plan with precision f32",
            Self::MARGIN,
            too_large.join(", ")
        ))
    }

    /// The inputs of convolutions, scaled by their gates, which kernels may keep as maps of their own: no more than the
    /// products of the largest numbers. Where one of the two was not measured, that one.
    fn scaled(&self, graph: &Graph) -> impl Iterator<Item = (String, Option<f32>)> {
        let gated =
            graph.nodes().iter().filter(|node| matches!(&node.op, Op::Conv2d(conv) if conv.gate == Gating::Input));
        gated.map(|node| {
            let [input, gate] = [0, 1].map(|index| graph.node(node.inputs[index]).name.as_str());
            match (self.largest(input), self.largest(gate)) {
                (Some(input), Some(gate)) => (format!("{}/scale", node.name), Some(input * gate)),
                (None, _) => (input.into(), None),
                (_, None) => (gate.into(), None),
            }
        })
    }

    /// Writes a JSON file: the network's name, and the largest number of each value.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        // By way of the shortest text, which reads better than the same number with the digits of an f64.
        let number = |x: &f32| json!(x.to_string().parse::<f64>().unwrap_or_default());
        let largest: Map<String, Value> = self.largest.iter().map(|(name, x)| (name.clone(), number(x))).collect();
        let document = json!({ "network": self.network, "largest": largest });
        files::write(path.as_ref(), "write the ranges", format!("{document:#}\n").as_bytes())
    }

    /// Reads what [`Ranges::save`] has written.
    ///
    /// # Errors
    /// The file can't be read, or is something else.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = files::read_text(path, &FILE)?;
        Self::parse(&text).ok_or_else(|| {
            Error::file(
                path,
                "expected ranges: {\"network\": NAME, \"largest\": {VALUE: NUMBER, …}}, numbers from 0 on",
            )
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let document: Value = serde_json::from_str(text).ok()?;
        let number = |x: &Value| x.as_f64().map(|x| x as f32).filter(|x| x.is_finite() && *x >= 0.0);
        let largest = document["largest"].as_object()?.iter().map(|(name, x)| Some((name.clone(), number(x)?)));
        Some(Self { network: document["network"].as_str()?.into(), largest: largest.collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GraphBuilder;
    use crate::ops::{Act, Conv2d, SqueezeExcite};
    use crate::passes::Fusion;
    use crate::plan::{Plan, PlanOptions, Precision, Target};
    use std::sync::Arc;

    fn ranges(largest: &[(&str, f32)]) -> Ranges {
        Ranges { network: "net".into(), largest: largest.iter().map(|&(name, x)| (name.to_string(), x)).collect() }
    }

    #[test]
    fn a_file_keeps_every_number() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let all = ranges(&[("input", 2.64), ("layer1.0/\"odd\" name", f32::MAX), ("conv1", 1.0 / 3.0), ("zero", 0.0)]);
        all.save(file.path()).unwrap();
        assert_eq!(Ranges::load(file.path()).unwrap(), all);
        assert!(std::fs::read_to_string(file.path()).unwrap().contains("\"input\": 2.64"), "not easy to read");
        for text in ["", "{}", "[]", r#"{"network": "n", "largest": {"x": -1}}"#, r#"{"network": 1, "largest": {}}"#] {
            std::fs::write(file.path(), text).unwrap();
            let message = Ranges::load(file.path()).unwrap_err().to_string();
            assert!(message.contains("expected ranges"), "{text}: {message}");
        }
    }

    #[test]
    fn what_might_not_fit_is_refused_by_name() {
        let mut g = GraphBuilder::new("net");
        let x = g.input(Shape::map(3, 4, 4)).unwrap();
        let x = g.conv2d("conv1", x, Conv2d::new(4, 3)).unwrap();
        let x = g.conv2d("conv2", x, Conv2d::new(4, 1)).unwrap();
        let x = g.global_avg_pool("pool", x).unwrap();
        let x = g.activation("act", x, Act::Relu).unwrap();
        let graph = g.finish(&[("y", x)]).unwrap();
        let plan = |precision, measured: Ranges| {
            let options = PlanOptions { precision, ranges: Some(Arc::new(measured)), ..Default::default() };
            Plan::new(&graph, 1, &Target::gpu(), &options).map_err(|e| e.to_string())
        };
        // Vectors are stored as f32: theirs don't count.
        let fits = ranges(&[("input", 1.0), ("conv1", 16376.0), ("conv2", 0.0), ("pool", 1e9)]);
        assert!(plan(Precision::F16, fits.clone()).is_ok());
        let large = ranges(&[("input", 1.0), ("conv1", 16376.1), ("conv2", 1e6)]);
        assert!(plan(Precision::F32, large.clone()).is_ok());
        let message = "graph \"net\": too large for half precision, which ends at 65504, with a margin of 4: \"conv1\" \
                       reaches 16376.1, \"conv2\" reaches 1000000; plan with precision f32";
        assert_eq!(plan(Precision::F16, large).unwrap_err(), message);
        let message = "graph \"net\": its ranges, measured of \"net\", have no value \"conv2\"";
        assert_eq!(plan(Precision::F16, ranges(&[("input", 1.0), ("conv1", 1.0)])).unwrap_err(), message);
        assert_eq!(fits.descending()[0], ("pool", 1e9));
    }

    #[test]
    fn what_gates_scale_counts_without_a_name() {
        let mut g = GraphBuilder::new("net");
        let x = g.input(Shape::map(4, 4, 4)).unwrap();
        let x = g.squeeze_excite("se", x, SqueezeExcite::new(2).gate(Act::Relu)).unwrap();
        let x = g.conv2d("project", x, Conv2d::new(4, 1)).unwrap();
        let graph = g.finish(&[("y", x)]).unwrap().prepare(Fusion::Full).unwrap();
        let check = |gate| ranges(&[("input", 100.0), ("se", gate), ("project", 1.0)]).check(&graph);
        assert!(check(163.0).is_ok());
        let message = check(164.0).unwrap_err().to_string();
        assert!(message.contains("\"project/scale\" reaches 16400;"), "{message}");
        let message = ranges(&[("input", 100.0), ("project", 1.0)]).check(&graph).unwrap_err().to_string();
        assert!(message.contains("have no value \"se\""), "{message}");
    }
}
