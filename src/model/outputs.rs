//! What a network gives: outputs by name and by index, on the host or still on the device.

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::ops::Index;

/// The outputs of a run: the network's own first, then those asked for, such as gates.
///
/// ```
/// # fn show(outputs: excite::Outputs) {
/// let answer = &outputs[0];
/// if let Some(gate) = outputs.get("gate.layer1.0.se") {
///     println!("{:?} for {:?}", gate.shape(), answer.shape());
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Outputs {
    outputs: Vec<(String, Output)>,
}

#[derive(Clone, Debug)]
enum Output {
    Host(Tensor),
    /// Dense numbers in a buffer of their own.
    Device {
        gpu: Gpu,
        buffer: wgpu::Buffer,
        shape: Vec<usize>,
    },
}

impl Outputs {
    /// Outputs on the host, in this order.
    pub(super) fn of_host<'a>(names: impl Iterator<Item = &'a str>, mut found: BTreeMap<String, Tensor>) -> Self {
        let output = |name: &str| Some((name.to_string(), Output::Host(found.remove(name)?)));
        Self { outputs: names.filter_map(output).collect() }
    }

    /// Outputs on the device, in this order.
    pub(super) fn of_device(gpu: &Gpu, outputs: impl Iterator<Item = (String, Vec<usize>, wgpu::Buffer)>) -> Self {
        let output = |(name, shape, buffer)| (name, Output::Device { gpu: gpu.clone(), buffer, shape });
        Self { outputs: outputs.map(output).collect() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.outputs.len()
    }

    /// Whether there are none. A network has at least one.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().map(|(name, _)| name.as_str())
    }

    /// The output of this name; none where there is no such output, or where it is on the device.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.iter().find_map(|(own, tensor)| (own == name).then_some(tensor))
    }

    /// The output of this name that is on the device: dense `f32` in a buffer of usages `STORAGE`, `COPY_SRC` and
    /// `COPY_DST`, with its shape.
    pub fn buffer(&self, name: &str) -> Option<(&wgpu::Buffer, &[usize])> {
        self.outputs.iter().find_map(|(own, output)| match output {
            Output::Device { buffer, shape, .. } if own == name => Some((buffer, shape.as_slice())),
            _ => None,
        })
    }

    /// Names and tensors, in order, of those on the host.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.outputs.iter().filter_map(|(name, output)| match output {
            Output::Host(tensor) => Some((name.as_str(), tensor)),
            Output::Device { .. } => None,
        })
    }

    /// Reads those that are on the device: waits for the run, and copies them to the host.
    ///
    /// # Errors
    /// The device fails, or is lost.
    pub fn read(self) -> Result<Self> {
        let read = |(name, output)| match output {
            Output::Device { gpu, buffer, shape } => {
                let words = gpu.read_words(&buffer, 0, buffer.size())?;
                Ok((name, Output::Host(Tensor::new(shape, bytemuck::pod_collect_to_vec(&words))?)))
            }
            host => Ok((name, host)),
        };
        Ok(Self { outputs: self.outputs.into_iter().map(read).collect::<Result<_>>()? })
    }

    /// Gives away the network's answer: the first output, `[N,…]`.
    ///
    /// # Errors
    /// It is on the device: [`Outputs::read`] reads it.
    pub fn into_first(mut self) -> Result<Tensor> {
        match self.outputs.swap_remove(0) {
            (_, Output::Host(tensor)) => Ok(tensor),
            (name, Output::Device { .. }) => {
                Err(Error::Request(format!("output \"{name}\" is on the device: read it")))
            }
        }
    }
}

/// # Panics
/// There is no such output on the host.
impl Index<usize> for Outputs {
    type Output = Tensor;

    fn index(&self, index: usize) -> &Tensor {
        match &self.outputs[index] {
            (_, Output::Host(tensor)) => tensor,
            (name, Output::Device { .. }) => panic!("output \"{name}\" is on the device: Outputs::read reads it"),
        }
    }
}

/// # Panics
/// There is no such output on the host.
impl Index<&str> for Outputs {
    type Output = Tensor;

    fn index(&self, name: &str) -> &Tensor {
        self.get(name).unwrap_or_else(|| panic!("no output \"{name}\" on the host"))
    }
}

impl IntoIterator for Outputs {
    type Item = (String, Tensor);
    type IntoIter = std::vec::IntoIter<(String, Tensor)>;

    /// Names and tensors, in order, of those on the host.
    fn into_iter(self) -> Self::IntoIter {
        let host = |(name, output)| match output {
            Output::Host(tensor) => Some((name, tensor)),
            Output::Device { .. } => None,
        };
        self.outputs.into_iter().filter_map(host).collect::<Vec<_>>().into_iter()
    }
}
