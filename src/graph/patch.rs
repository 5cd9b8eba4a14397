//! Edits of a graph: what passes return, and how they are applied.

use super::builder::{GraphBuilder, Value};
use super::{Graph, Node, NodeId};
use crate::error::Result;
use crate::ops::Op;
use crate::param::Param;
use std::collections::{HashMap, HashSet};

/// What takes a node's place.
#[derive(Debug)]
pub(crate) struct Patch {
    /// The node whose value is now another's.
    pub(crate) target: NodeId,
    /// Nodes that only the target's old computation needed.
    pub(crate) absorbed: Vec<NodeId>,
    /// What computes the value now; the last one's value is the target's. Empty: `alias` is the value.
    pub(crate) nodes: Vec<PatchNode>,
    /// The older node that already has the value.
    pub(crate) alias: Option<NodeId>,
}

/// A node of a patch.
#[derive(Debug)]
pub(crate) struct PatchNode {
    pub name: String,
    pub op: Op,
    pub inputs: Vec<Source>,
    pub params: Vec<Param>,
}

/// What a patch's node reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// A node of the graph before the edit.
    Old(NodeId),
    /// An earlier node of the patch.
    New(usize),
}

impl Patch {
    /// `target`'s value is `alias`'s.
    pub(crate) fn alias(target: NodeId, alias: NodeId) -> Self {
        Self { target, absorbed: Vec::new(), nodes: Vec::new(), alias: Some(alias) }
    }

    /// `layer` as another op, with other inputs, takes the place of `target` and of `absorbed`: its name and parameters
    /// stay.
    pub(crate) fn fused(
        graph: &Graph,
        target: NodeId,
        absorbed: &[NodeId],
        layer: NodeId,
        op: Op,
        inputs: impl IntoIterator<Item = NodeId>,
    ) -> Self {
        let Node { name, params, .. } = graph.node(layer);
        let inputs = inputs.into_iter().map(Source::Old).collect();
        Self::node(graph, target, absorbed, PatchNode { name: name.clone(), op, inputs, params: params.clone() })
    }

    /// One node, reading old ones, takes the place of `target` and of `absorbed`.
    pub(crate) fn node(graph: &Graph, target: NodeId, absorbed: &[NodeId], node: PatchNode) -> Self {
        debug_assert!(absorbed.iter().all(|&id| !graph.is_output(id)), "an output can't be absorbed");
        Self { target, absorbed: absorbed.to_vec(), nodes: vec![node], alias: None }
    }
}

impl Graph {
    /// Applies patches that touch different nodes. Shapes are checked again: a pass can't build a wrong graph.
    pub(crate) fn apply(&self, patches: &[Patch]) -> Result<Self> {
        let mut builder = GraphBuilder::new(self.name.clone());
        let mut values: Vec<Option<Value>> = vec![None; self.nodes.len()];
        let patch_of: HashMap<NodeId, &Patch> = patches.iter().map(|p| (p.target, p)).collect();
        let absorbed: HashSet<NodeId> = patches.iter().flat_map(|p| p.absorbed.iter().copied()).collect();
        let at = |values: &[Option<Value>], id: NodeId| {
            values[id.0].expect("passes absorb only nodes that nothing else reads")
        };
        for id in self.ids() {
            if absorbed.contains(&id) {
                continue;
            }
            let Some(patch) = patch_of.get(&id) else {
                let node = self.node(id);
                let inputs: Vec<Value> = node.inputs.iter().map(|&i| at(&values, i)).collect();
                values[id.0] = Some(builder.add_node(&node.name, node.op.clone(), &inputs, node.params.clone())?);
                continue;
            };
            let mut new = Vec::new();
            for node in &patch.nodes {
                let inputs: Vec<Value> = node
                    .inputs
                    .iter()
                    .map(|source| match *source {
                        Source::Old(id) => at(&values, id),
                        Source::New(index) => new[index],
                    })
                    .collect();
                new.push(builder.add_with(&node.name, node.op.clone(), &inputs, node.params.clone())?);
            }
            values[id.0] = new.last().copied().or_else(|| patch.alias.map(|alias| at(&values, alias)));
        }
        let outputs: Vec<(&str, Value)> =
            self.outputs.iter().map(|(name, id)| (name.as_str(), at(&values, *id))).collect();
        builder.finish(&outputs)
    }
}
