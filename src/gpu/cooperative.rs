//! Which cooperative matrices an adapter has.

use crate::kernels::MatrixSize;
use wgpu::CooperativeScalarType::{F16, F32};

/// What a device needs for them, besides the experimental features that wgpu wants to be allowed.
pub(super) const FEATURES: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16).union(wgpu::Features::SUBGROUP);

/// Bytes of workgroup memory that the largest tile takes with its sums.
const MEMORY: u32 = 32 << 10;

/// The sizes that our kernels have a variant for, of half precision with sums in `f32`; the larger first.
pub(super) fn sizes(adapter: &wgpu::Adapter) -> Vec<MatrixSize> {
    if !adapter.features().contains(FEATURES) || adapter.limits().max_compute_workgroup_storage_size < MEMORY {
        return Vec::new();
    }
    let properties = adapter.cooperative_matrix_properties();
    let has = |size: &MatrixSize| {
        let side = match size {
            MatrixSize::Eight => 8,
            MatrixSize::Sixteen => 16,
        };
        properties.iter().any(|p| [p.m_size, p.n_size, p.k_size] == [side; 3] && (p.ab_type, p.cr_type) == (F16, F32))
    };
    [MatrixSize::Sixteen, MatrixSize::Eight].into_iter().filter(has).collect()
}
