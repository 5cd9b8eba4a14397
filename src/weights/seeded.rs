//! Tensors that follow from a seed.

use super::Store;
use crate::error::Result;
use crate::tensor::Tensor;

/// Any tensor, by its name and shape.
#[derive(Debug)]
pub(super) struct Seeded {
    pub seed: u64,
    pub gain: f64,
}

impl Store for Seeded {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        Ok(Some(seeded(name, shape, self.seed, self.gain)))
    }
}

/// Makes the seeded tensor: splitmix64 over an FNV-1a key of the name, scaled by the rule for the name's last part.
pub(super) fn seeded(name: &str, shape: &[usize], seed: u64, gain: f64) -> Tensor {
    let fan_in = || shape[1..].iter().product::<usize>() as f64;
    let last = name.rsplit('.').next().unwrap_or(name);
    let (centre, width) = match (last, shape.len()) {
        ("input", _) => (0.0, 4.0),
        ("running_var", _) => (1.0, 1.0),
        ("running_mean", _) => (0.0, 0.5),
        ("weight", 0 | 1) => (1.0, 1.0),
        ("weight", 2) => (0.0, 2.0 * (3.0 / fan_in()).sqrt()),
        ("weight", _) => (0.0, 2.0 * (3.0 * gain / fan_in()).sqrt()),
        _ => (0.0, 1.0),
    };
    let key =
        name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)) ^ seed;
    Tensor::from_fn(shape, |i| {
        let mut z = key.wrapping_add((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let u = ((z ^ (z >> 31)) >> 40) as f64 / (1u64 << 24) as f64;
        (centre + (u - 0.5) * width) as f32
    })
}
