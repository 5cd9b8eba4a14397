//! What rules look at: the graph with its consumers, and what is planned for. Nothing here changes.

use crate::graph::{Graph, Node, NodeId};
use crate::plan::Setting;
use crate::tensor::Shape;
use std::collections::HashSet;
use std::ops::Deref;

/// A prepared graph as rules read it.
pub(crate) struct View<'a> {
    pub graph: &'a Graph,
    setting: Setting<'a>,
    consumers: Vec<Vec<NodeId>>,
    outputs: HashSet<NodeId>,
}

impl<'a> View<'a> {
    pub fn new(graph: &'a Graph, setting: Setting<'a>) -> Self {
        let outputs = graph.outputs().iter().map(|&(_, id)| id).collect();
        Self { graph, setting, consumers: graph.consumers(), outputs }
    }

    pub fn node(&self, id: NodeId) -> &'a Node {
        self.graph.node(id)
    }

    pub fn input_shape(&self, id: NodeId, index: usize) -> Shape {
        self.node(self.node(id).inputs[index]).shape
    }

    /// The nodes that read a node's value, in order.
    pub fn consumers(&self, id: NodeId) -> &[NodeId] {
        &self.consumers[id.index()]
    }

    /// The only node that reads a value, once.
    pub fn only_consumer(&self, id: NodeId) -> Option<NodeId> {
        if let [consumer] = *self.consumers(id) { Some(consumer) } else { None }
    }

    pub fn is_output(&self, id: NodeId) -> bool {
        self.outputs.contains(&id)
    }
}

impl<'a> Deref for View<'a> {
    type Target = Setting<'a>;

    fn deref(&self) -> &Setting<'a> {
        &self.setting
    }
}
