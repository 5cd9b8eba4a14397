//! What the Rust side knows of a WGSL file. `tests/host/shaders.rs` parses the files and compares, so nothing is kept in
//! step by hand.

use super::variant::{self, Output, Variant};

/// How a shader uses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `var<uniform>`
    Uniform,
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`, written without being read first
    Write,
}

/// A WGSL file and its interface.
#[derive(Debug)]
pub struct Shader {
    /// File below `shaders/`, without `.wgsl`: also the label of pipelines, tests and benches.
    pub name: &'static str,
    /// The file's text.
    pub text: &'static str,
    /// Bindings of group 0, in order; the first is the uniform `params`.
    pub bindings: &'static [(Access, &'static str)],
    /// The bindings that are stored as the axis `storage` says: maps, and the weights of convolutions.
    pub halves: &'static [&'static str],
    /// All overrides, those of the common files included.
    pub overrides: &'static [&'static str],
    /// Fields of `Params`, in order: name, Rust type, offset.
    pub params: &'static [(&'static str, &'static str, usize)],
}

/// Binding of the sums that are a side output.
pub(crate) const PARTIALS: &str = "partials";
/// Binding of the residual end that is a side output.
pub(crate) const BLOCK: &str = "block";
/// The number of either.
const SIDE: u32 = 7;

impl Shader {
    /// What its header imports: files of `shaders/lib`, and axes.
    pub fn imports(&self) -> impl Iterator<Item = &'static str> {
        variant::imports(self.text)
    }

    /// Whether its header imports the axis.
    pub fn has_axis(&self, name: &str) -> bool {
        self.imports().any(|import| import.strip_prefix("axis/") == Some(name))
    }

    /// The bindings of a variant, with their numbers.
    pub fn bindings(&self, variant: Variant) -> Vec<(u32, Access, &'static str)> {
        let declared = (0..).zip(self.bindings).map(|(number, &(access, name))| (number, access, name));
        let side = match variant.output {
            Output::StoreAndSum => Some(PARTIALS),
            Output::StoreAndKeepEnd => Some(BLOCK),
            Output::Store | Output::PartialSums => None,
        };
        declared.chain(side.map(|name| (SIDE, Access::Write, name))).collect()
    }

    /// Every variant that plans can have of it.
    pub fn variants(&self) -> Vec<Variant> {
        Variant::all(|axis| self.has_axis(axis))
    }

    /// Whether a binding is in half precision in this variant.
    pub fn is_half(&self, variant: Variant, binding: &str) -> bool {
        let full = (variant.nchw() && binding == "input") || (variant.partial_sums() && binding == "output");
        variant.half() && !full && (self.halves.contains(&binding) || (!self.halves.is_empty() && binding == BLOCK))
    }

    /// The whole WGSL source of a variant as WGSL's standard wants it, and so browsers: naga refuses `enable subgroups;`
    /// and takes subgroups without it.
    pub fn standard_source(&self, variant: Variant) -> String {
        let enable = if variant.subgroups() { "enable subgroups;\n" } else { "" };
        enable.to_owned() + &self.source(variant)
    }

    /// The whole WGSL source of a variant, for naga. Directives come before everything else.
    pub fn source(&self, variant: Variant) -> String {
        let half = variant.half().then_some("enable f16;");
        let matrices = variant.matrices().map(|_| "enable wgpu_cooperative_matrix;");
        let imported = self.imports().map(|import| variant::imported(import, variant));
        half.into_iter().chain(matrices).chain([self.text]).chain(imported).collect::<Vec<_>>().join("\n")
    }
}

/// Declares a shader: its file, bindings after `params`, those among them that may be in half precision,
/// and overrides. `Params` must be in scope.
macro_rules! shader {
    ($name:literal, bindings: [$($access:ident $binding:ident),* $(,)?],
     $(halves: [$($half:ident),*],)? overrides: [$($override:ident),* $(,)?] $(,)?) => {
        $crate::kernels::Shader {
            name: $name,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl")),
            bindings: &[
                ($crate::kernels::Access::Uniform, "params"),
                $(($crate::kernels::shader!(@$access), stringify!($binding))),*
            ],
            halves: &[$($(stringify!($half)),*)?],
            overrides: &[$(stringify!($override)),*],
            params: Params::FIELDS,
        }
    };
    (@read) => { $crate::kernels::Access::Read };
    (@write) => { $crate::kernels::Access::Write };
}

/// Declares `Params`: flat 32-bit fields, in the shader's order. Arrays are of four numbers each and come first, as the
/// alignment of uniforms wants it.
macro_rules! params {
    ($($field:ident: $type:ty),* $(,)?) => {
        #[repr(C)]
        #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
        struct Params { $($field: $type),* }

        impl Params {
            const FIELDS: &'static [(&'static str, &'static str, usize)] =
                &[$((stringify!($field), stringify!($type), std::mem::offset_of!(Params, $field))),*];

            /// The fields as the uniform buffer has them.
            fn words(self) -> Vec<u32> {
                bytemuck::cast_slice(&[self]).to_vec()
            }
        }
    };
}

pub(crate) use {params, shader};
