//! A node of the file: its attributes, with their types checked.

use super::Fail;
use super::proto::{AttributeValue, NodeProto, TensorProto};

pub(super) struct Node<'a> {
    pub proto: &'a NodeProto,
    /// Version of the operator set.
    pub opset: i64,
}

impl<'a> Node<'a> {
    pub(super) fn op(&self) -> &'a str {
        &self.proto.op
    }

    /// Name in messages and plans: the node's, or that of its first result.
    pub(super) fn name(&self) -> &'a str {
        match (self.proto.name.as_str(), self.proto.outputs.first()) {
            ("", Some(output)) => output,
            (name, _) => name,
        }
    }

    fn find(&self, name: &str) -> Option<&'a AttributeValue> {
        self.proto.attributes.iter().find(|attribute| attribute.name == name).map(|attribute| &attribute.value)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, Fail> {
        match self.find(name) {
            None => Ok(default),
            Some(AttributeValue::Int(value)) => Ok(*value),
            Some(_) => Err(wrong(name, "an integer")),
        }
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Fail> {
        Ok(self.int(name, default.into())? != 0)
    }

    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32, Fail> {
        match self.find(name) {
            None => Ok(default),
            Some(AttributeValue::Float(value)) if value.is_finite() => Ok(*value),
            Some(_) => Err(wrong(name, "a finite number")),
        }
    }

    /// A number that may be infinite: the largest there is then.
    pub(super) fn bound(&self, name: &str, default: f32) -> Result<f32, Fail> {
        match self.find(name) {
            None => Ok(default),
            Some(AttributeValue::Float(value)) if !value.is_nan() => Ok(value.clamp(f32::MIN, f32::MAX)),
            Some(_) => Err(wrong(name, "a number")),
        }
    }

    pub(super) fn text(&self, name: &str, default: &'a str) -> Result<&'a str, Fail> {
        match self.find(name) {
            None => Ok(default),
            Some(AttributeValue::String(value)) => Ok(value),
            Some(_) => Err(wrong(name, "a string")),
        }
    }

    pub(super) fn ints(&self, name: &str) -> Result<Option<&'a [i64]>, Fail> {
        match self.find(name) {
            None => Ok(None),
            Some(AttributeValue::Ints(values)) => Ok(Some(values)),
            Some(_) => Err(wrong(name, "a list of integers")),
        }
    }

    pub(super) fn floats(&self, name: &str) -> Result<Option<&'a [f32]>, Fail> {
        match self.find(name) {
            None => Ok(None),
            Some(AttributeValue::Floats(values)) => Ok(Some(values)),
            Some(_) => Err(wrong(name, "a list of numbers")),
        }
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<&'a TensorProto>, Fail> {
        match self.find(name) {
            None => Ok(None),
            Some(AttributeValue::Tensor(value)) => Ok(Some(value)),
            Some(_) => Err(wrong(name, "a tensor")),
        }
    }

    /// A list of `count` sizes of at least `least`, or `default` in each place.
    pub(super) fn sizes(&self, name: &str, count: usize, least: usize, default: usize) -> Result<Vec<usize>, Fail> {
        let Some(values) = self.ints(name)? else { return Ok(vec![default; count]) };
        let sizes: Option<Vec<usize>> =
            values.iter().map(|&value| usize::try_from(value).ok().filter(|&v| v >= least && v < 1 << 31)).collect();
        match sizes {
            Some(sizes) if sizes.len() == count => Ok(sizes),
            _ => Err(format!("{name} must be {count} numbers of at least {least}, is {values:?}").into()),
        }
    }
}

fn wrong(name: &str, expected: &str) -> Fail {
    format!("attribute {name} must be {expected}").into()
}
