//! Tensors in memory.

use super::{Shapes, Store, is_finite};
use crate::error::Result;
use crate::import::rename::Renamed;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tensors by name.
#[derive(Debug)]
pub(super) struct Memory(pub BTreeMap<String, Arc<Tensor>>);

impl Store for Memory {
    fn tensor(&self, name: &str, _: &[usize]) -> Result<Option<Tensor>> {
        Ok(self.0.get(name).map(|tensor| Tensor::clone(tensor)))
    }

    fn shapes(&self) -> Option<Shapes> {
        Some(self.0.iter().map(|(name, tensor)| (name.clone(), tensor.shape().to_vec())).collect())
    }

    fn renamed(&self, names: &[Renamed]) -> Option<Arc<dyn Store>> {
        let tensor = |to: &Renamed| {
            let tensor = Tensor::clone(self.0.get(&to.theirs)?).reshape(to.shape.as_slice()).ok()?;
            Some((to.ours.clone(), Arc::new(tensor)))
        };
        Some(Arc::new(Self(names.iter().filter_map(tensor).collect())))
    }

    fn not_finite(&self) -> Vec<String> {
        self.0.iter().filter(|(_, tensor)| !is_finite(tensor)).map(|(name, _)| name.clone()).collect()
    }
}
