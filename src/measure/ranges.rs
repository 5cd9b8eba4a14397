//! Measures how large a network's values get. The table, and what plans ask of it: `src/ranges.rs`.

use crate::error::{Error, Result};
use crate::gpu::{Executor, ExecutorOptions, Gpu};
use crate::graph::{Graph, NodeId};
use crate::passes::Fusion;
use crate::plan::PlanOptions;
use crate::ranges::Ranges;
use crate::tensor::Tensor;
use crate::weights::Weights;

/// Bytes of one image's values that a calibration run brings back at a time.
const PORTION: usize = 64 << 20;

impl Ranges {
    /// Runs images on the device in `f32`, one by one, and looks at every value, as each level of [`Fusion`] has them:
    /// where two fusion levels have different values of one name, the larger number counts.
    ///
    /// # Errors
    /// The weights or the images are not the network's, a value is not finite even in `f32`, or the device fails.
    pub fn measure(gpu: &Gpu, graph: &Graph, weights: &Weights, images: &Tensor) -> Result<Self> {
        graph.check_input(images)?;
        let weights = &weights.fit(graph)?;
        let mut ranges = Self::of(graph.name());
        for fusion in Fusion::ALL {
            let prepared = graph.prepare(fusion)?;
            let mut ids = prepared.ids();
            add(&mut ranges, &prepared, ids.next().expect("the input is the first node"), images)?;
            for portion in portions(&prepared, ids) {
                // Ops that are fused stay so: there is nothing left to fuse.
                let plan = PlanOptions { fusion, ..Default::default() };
                let part = prepared.clone().with_outputs_of(&portion);
                let executor = Executor::new(gpu, &part, weights, ExecutorOptions { plan, ..Default::default() })?;
                for image in 0..images.batch() {
                    let shape = graph.input_shape().with_batch(1);
                    let outputs = executor.run_all(&Tensor::new(shape, images.image(image).to_vec())?)?;
                    portion
                        .iter()
                        .try_for_each(|&id| add(&mut ranges, &prepared, id, &outputs[&prepared.node(id).name]))?;
                }
            }
        }
        Ok(ranges)
    }
}

/// Counts a node's value in.
fn add(ranges: &mut Ranges, graph: &Graph, id: NodeId, value: &Tensor) -> Result<()> {
    let node = graph.node(id);
    if value.data().iter().any(|x| !x.is_finite()) {
        return Err(Error::node(node.op.kind(), &node.name, "its value is not finite even in f32"));
    }
    ranges.raise(&node.name, value.max_abs());
    Ok(())
}

/// Nodes in portions of so many bytes an image.
fn portions(graph: &Graph, ids: impl Iterator<Item = NodeId>) -> Vec<Vec<NodeId>> {
    let mut portions: Vec<(usize, Vec<NodeId>)> = Vec::new();
    for id in ids {
        let bytes = 4 * graph.node(id).shape.len();
        match portions.last_mut() {
            Some((size, portion)) if *size + bytes <= PORTION => {
                *size += bytes;
                portion.push(id);
            }
            _ => portions.push((bytes, vec![id])),
        }
    }
    portions.into_iter().map(|(_, portion)| portion).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::GraphBuilder;
    use crate::ops::Act;
    use crate::tensor::Shape;

    #[test]
    fn portions_hold_every_node_once() {
        let mut g = GraphBuilder::new("net");
        let mut x = g.input(Shape::map(4, 1024, 1024)).unwrap();
        for i in 0..9 {
            x = g.activation(&format!("act{i}"), x, Act::Relu).unwrap();
        }
        let graph = g.finish(&[("y", x)]).unwrap();
        let found = portions(&graph, graph.ids());
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
        assert_eq!(found.concat(), graph.ids().collect::<Vec<_>>());
    }
}
