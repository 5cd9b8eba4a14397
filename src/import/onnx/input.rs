//! What an ONNX file takes at run time: one input of its own, and how its images lie.

use super::proto::{DimProto, ValueProto};
use super::source::{Source, listed, quoted};
use super::stored::{Element, data_type};
use super::{OnnxInput, OnnxOptions};
use crate::error::{Error, Result};
use std::collections::HashSet;

/// The input that is given at run time.
pub(super) struct GivenInput<'a> {
    pub name: &'a str,
    pub dims: Vec<InputDim>,
    /// Whether it is images as `[N,H,W,3]`.
    pub channels_last: bool,
    /// Whether it is of integers of 8 bits.
    pub bytes: bool,
}

/// A dimension of the input.
#[derive(Clone, Copy)]
pub(super) enum InputDim {
    Size(usize),
    Open,
}

impl InputDim {
    pub(super) fn or(self, open: usize) -> usize {
        match self {
            Self::Size(size) => size,
            Self::Open => open,
        }
    }
}

impl Source {
    /// The input that is given at run time.
    pub(super) fn given(&self, options: &OnnxOptions) -> Result<&ValueProto> {
        let fail = |message: String| Err(Error::file(&self.path, message));
        if let Some(name) = options.constants.keys().find(|name| self.inputs.iter().all(|i| i.name != **name)) {
            return fail(format!("has no input \"{name}\""));
        }
        let open = || self.inputs.iter().filter(|input| !options.constants.contains_key(&input.name));
        // What nothing reads needs no value, unless it is all there is.
        let read: HashSet<&String> = self.nodes.iter().flat_map(|node| &node.inputs).chain(&self.outputs).collect();
        let is_read = |input: &&ValueProto| read.contains(&input.name);
        let open: Vec<&ValueProto> =
            if open().any(|i| is_read(&i)) { open().filter(is_read).collect() } else { open().collect() };
        let [input] = open[..] else {
            let names: Vec<String> = open.iter().map(|input| input.name.clone()).collect();
            return fail(format!(
                "has {} inputs ({}); one is supported, give the others values with `OnnxOptions::constants`",
                names.len(),
                listed(quoted(&names), ", ")
            ));
        };
        Ok(input)
    }

    /// The same, with its dimensions as the options complete them.
    pub(super) fn input(&self, options: &OnnxOptions) -> Result<GivenInput<'_>> {
        let fail = |message: String| Err(Error::file(&self.path, message));
        let input = self.given(options)?;
        let bytes = Element::of(input.element) == Some(Element::Unsigned(1));
        if !bytes && !Element::of(input.element).is_some_and(Element::is_float) {
            let found = data_type(input.element);
            return fail(format!("input \"{}\" is of {found}, expected are floats or UINT8", input.name));
        }
        let Some(dims) = &input.dims else {
            return fail(format!("does not say how many dimensions input \"{}\" has", input.name));
        };
        let channels_last = channels_last(dims);
        // Where height and width are.
        let sides = if channels_last { 1..3 } else { 2..4 };
        let mut sizes = Vec::new();
        for (i, dim) in dims.iter().enumerate() {
            let is_side = dims.len() == 4 && sides.contains(&i);
            let wanted = options.size.filter(|_| is_side).map(|size| size[i - sides.start]);
            sizes.push(match (dim, wanted) {
                (DimProto::Size(size), wanted) => match usize::try_from(*size) {
                    Ok(size @ 1..) if size < 1 << 31 => match wanted {
                        Some(wanted) if wanted != size => {
                            return fail(format!(
                                "input \"{}\" is fixed at {dims}, it can't be resized to {wanted}",
                                input.name,
                                dims = self.shown(dims)
                            ));
                        }
                        _ => InputDim::Size(size),
                    },
                    _ => return fail(format!("input \"{}\" has a dimension of {size}", input.name)),
                },
                (_, Some(wanted)) => InputDim::Size(wanted),
                (_, None) if i == 0 => InputDim::Open,
                (_, None) => {
                    let advice = match is_side {
                        true => "choose height and width (`--size`, `OnnxOptions::size`)",
                        false => "fix it when exporting",
                    };
                    let dims = self.shown(dims);
                    return fail(format!("input \"{}\" leaves dimension {i} of {dims} open: {advice}", input.name));
                }
            });
        }
        Ok(GivenInput { name: &input.name, dims: sizes, channels_last, bytes })
    }

    /// Names and dimensions of the inputs.
    pub(super) fn inputs(&self) -> Vec<(String, Vec<Option<usize>>)> {
        self.inputs.iter().map(|input| (input.name.clone(), sizes(input))).collect()
    }

    /// Whether an input is declared to be of integers or truth values.
    pub(super) fn is_of_integers(&self, name: &str) -> bool {
        let input = self.inputs.iter().find(|input| input.name == name);
        input.and_then(|input| Element::of(input.element)).is_some_and(|element| !element.is_float())
    }

    fn shown(&self, dims: &[DimProto]) -> String {
        let dims: Vec<String> = dims
            .iter()
            .map(|dim| match dim {
                DimProto::Size(size) => size.to_string(),
                DimProto::Name(name) => name.clone(),
                DimProto::Unknown => "?".into(),
            })
            .collect();
        format!("[{}]", dims.join(", "))
    }
}

/// Whether an input's images have their channels last: `[N,H,W,3]`, but for what could as well be `[N,3,H,W]`.
fn channels_last(dims: &[DimProto]) -> bool {
    let [_, first, _, last] = dims else { return false };
    matches!(last, DimProto::Size(3)) && !matches!(first, DimProto::Size(1 | 3))
}

/// What a declaration says.
pub(super) fn describe(input: &ValueProto) -> OnnxInput {
    OnnxInput {
        name: input.name.clone(),
        dims: sizes(input),
        channels_last: input.dims.as_deref().is_some_and(channels_last),
        bytes: Element::of(input.element) == Some(Element::Unsigned(1)),
    }
}

/// Sizes that an input states.
fn sizes(input: &ValueProto) -> Vec<Option<usize>> {
    let size = |dim: &DimProto| match dim {
        DimProto::Size(size) => usize::try_from(*size).ok(),
        _ => None,
    };
    input.dims.iter().flatten().map(size).collect()
}
