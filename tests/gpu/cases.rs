//! Cases of every op, a file for each shader folder.

mod conv2d;
mod elementwise;
pub mod half;
mod half_refused;
mod linear;
mod pool;
mod shape;
mod squeeze_excite;
mod tensor;

use crate::Case;

pub fn all() -> Vec<Case> {
    let files = [
        conv2d::cases(),
        elementwise::cases(),
        half::cases(),
        half_refused::cases(),
        linear::cases(),
        pool::cases(),
        shape::cases(),
        squeeze_excite::cases(),
        tensor::cases(),
    ];
    files.into_iter().flatten().collect()
}
