//! What the Rust side knows of a WGSL file. `tests/host/shaders.rs` parses the files and compares, so nothing is kept in
//! step by hand.

use std::fmt;

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
    /// Files of `shaders/common/` that are appended. `storage`, `floats`, `reduce`, `weights`, `squeeze`, `block`, `input`, `shuffle`
    /// and `epilogue` have two forms each, `loads` has three, `tiled` has a third of two files.
    pub common: &'static [&'static str],
    /// Bindings of group 0, in order; the first is the uniform `params`.
    pub bindings: &'static [(Access, &'static str)],
    /// The bindings that lie as `common/storage_*.wgsl` says: maps, and the weights of convolutions.
    pub halves: &'static [&'static str],
    /// All overrides, those of the common files included.
    pub overrides: &'static [&'static str],
    /// Fields of `Params`, in order: name, Rust type, offset.
    pub params: &'static [(&'static str, &'static str, usize)],
}

/// Which form of a shader a step uses: some common files have two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Form {
    /// Reductions use subgroups, or subgroups share the weights that they load.
    pub subgroups: bool,
    /// What is stored is summed as well, into one more binding.
    pub squeeze: bool,
    /// The residual block before is ended while loading, and kept in one more binding.
    pub block: bool,
    /// Each workgroup adds up a part of the depth, and stores the sums in `f32` in place of the output.
    pub parts: bool,
    /// The input is dense planes, as the caller gives it.
    pub planes: bool,
    /// The input's channels are shuffled while loading.
    pub shuffle: bool,
    /// Loads are of 64 bits: for adapters that load number by number.
    pub wide: bool,
    /// Maps, and the weights of convolutions, lie in half precision.
    pub half: bool,
    /// Products are of cooperative matrices, of half precision with sums in `f32`.
    pub matrices: Option<MatrixSize>,
}

/// Sides of the cooperative matrices that a subgroup multiplies, as the adapter has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatrixSize {
    /// 8 by 8
    Eight,
    /// 16 by 16
    Sixteen,
}

impl Form {
    /// What is more than plain about it.
    pub(crate) fn words(self) -> Vec<String> {
        let switches = [
            (self.subgroups, "subgroups"),
            (self.squeeze, "squeeze"),
            (self.block, "ends block"),
            (self.parts, "parts"),
            (self.planes, "planes"),
            (self.shuffle, "shuffles"),
            (self.wide, "wide"),
            (self.half, "half"),
        ];
        let matrices = self.matrices.map(|size| format!("matrices of {size}"));
        switches.into_iter().filter(|(on, _)| *on).map(|(_, word)| word.into()).chain(matrices).collect()
    }
}

/// What it has over the plain form: `subgroups, squeeze, half`.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words();
        f.write_str(if words.is_empty() { "plain" } else { "" })?;
        f.write_str(&words.join(", "))
    }
}

impl MatrixSize {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Eight, Self::Sixteen];
}

impl fmt::Display for MatrixSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eight => "8x8",
            Self::Sixteen => "16x16",
        })
    }
}

/// Binding of the sums in the form that squeezes.
pub(crate) const PARTIALS: &str = "partials";
/// Binding of the block's value in the form that ends one.
pub(crate) const BLOCK: &str = "block";
/// The number of either.
const SIDE: u32 = 7;

impl Shader {
    /// The bindings of a form, with their numbers.
    pub fn bindings(&self, form: Form) -> Vec<(u32, Access, &'static str)> {
        let declared = (0..).zip(self.bindings).map(|(number, &(access, name))| (number, access, name));
        let side = form.squeeze.then_some(PARTIALS).into_iter().chain(form.block.then_some(BLOCK));
        declared.chain(side.map(|name| (SIDE, Access::Write, name))).collect()
    }

    /// Whether the shader has a form that squeezes.
    pub fn squeezes(&self) -> bool {
        self.common.contains(&"squeeze")
    }

    /// Whether the shader has a form that ends the block before.
    pub fn ends_blocks(&self) -> bool {
        self.common.contains(&"block")
    }

    /// Whether the shader has a form whose reductions use subgroups.
    pub fn reduces(&self) -> bool {
        self.common.contains(&"reduce")
    }

    /// Whether the shader has a form whose subgroups share weights.
    pub fn shares_weights(&self) -> bool {
        self.common.contains(&"weights")
    }

    /// Whether the shader has a form that loads 64 bits at once. Kernels that software adapters don't choose have none.
    pub fn loads_wide(&self) -> bool {
        self.common.contains(&"floats")
    }

    /// Whether the shader has a form that reads dense planes.
    pub fn reads_planes(&self) -> bool {
        self.common.contains(&"input")
    }

    /// Whether the shader has a form that shuffles channels.
    pub fn shuffles(&self) -> bool {
        self.common.contains(&"shuffle")
    }

    /// Whether the shader has a form for maps in half precision.
    pub fn stores(&self) -> bool {
        !self.halves.is_empty()
    }

    /// Whether the shader has a form of cooperative matrices.
    pub fn multiplies(&self) -> bool {
        self.common.contains(&"tiled")
    }

    /// Whether the shader has a form that computes parts of the depth.
    pub fn splits(&self) -> bool {
        self.common.contains(&"tiled")
    }

    /// Every form that plans can have of it.
    pub fn forms(&self) -> Vec<Form> {
        let mut forms = vec![Form::default()];
        let mut also = |has: bool, change: &dyn Fn(Form) -> Option<Form>| {
            let more: Vec<Form> = forms.iter().filter(|_| has).filter_map(|&form| change(form)).collect();
            forms.extend(more);
        };
        also(self.loads_wide(), &|form| Some(Form { wide: true, ..form }));
        also(self.reduces(), &|form| Some(Form { subgroups: true, ..form }));
        also(self.shares_weights(), &|form| form.wide.then_some(Form { subgroups: true, ..form }));
        also(self.reads_planes(), &|form| Some(Form { planes: true, ..form }));
        also(self.shuffles(), &|form| Some(Form { shuffle: true, ..form }));
        also(self.squeezes(), &|form| Some(Form { squeeze: true, ..form }));
        // One binding is for sums or for a block, parts have neither, and images as they come are never deep.
        also(self.ends_blocks(), &|form| (!form.squeeze).then_some(Form { block: true, ..form }));
        let alone = |form: Form| !form.squeeze && !form.block && !form.planes;
        also(self.splits(), &|form| alone(form).then_some(Form { parts: true, ..form }));
        also(self.stores(), &|form| Some(Form { half: true, ..form }));
        for size in MatrixSize::ALL {
            let fits = |form: Form| form.half && form.matrices.is_none();
            also(self.multiplies(), &|form| fits(form).then_some(Form { matrices: Some(size), ..form }));
        }
        forms
    }

    /// Whether a binding is in half precision in this form.
    pub fn is_half(&self, form: Form, binding: &str) -> bool {
        let full = (form.planes && binding == "input") || (form.parts && binding == "output");
        form.half && !full && (self.halves.contains(&binding) || (self.stores() && binding == BLOCK))
    }

    /// The whole WGSL source of a form.
    pub fn source(&self, form: Form) -> String {
        let common = self.common.iter().map(|name| match *name {
            "reduce" if form.subgroups => common("reduce_subgroup"),
            "weights" if form.subgroups => common("weights_subgroup"),
            "input" if form.planes => common("input_planes"),
            "input" => common("input_quads"),
            "shuffle" if form.shuffle => common("shuffle_on"),
            "shuffle" => common("shuffle_off"),
            "squeeze" if form.squeeze => common("squeeze_on"),
            "squeeze" => common("squeeze_off"),
            "block" if form.block => common("block_on"),
            "block" => common("block_off"),
            "epilogue" if form.parts => common("epilogue_parts"),
            "storage" if form.half => common("storage_f16"),
            "storage" => common("storage_f32"),
            "floats" if form.wide => common("floats_wide"),
            "loads" if form.wide && form.half => common("loads_f16_wide"),
            "loads" if form.wide => common("loads_f32_wide"),
            "tiled" if form.matrices.is_some() => common("cooperative"),
            name => common(name),
        });
        // Directives come before everything else.
        let enable = form.half.then_some("enable f16;");
        let enable = enable.into_iter().chain(form.matrices.map(|_| "enable wgpu_cooperative_matrix;"));
        let matrices = form.matrices.map(|size| match size {
            MatrixSize::Eight => self::common("matrix_8"),
            MatrixSize::Sixteen => self::common("matrix_16"),
        });
        enable.chain([self.text]).chain(common).chain(matrices).collect::<Vec<_>>().join("\n")
    }
}

/// Text of a file of `shaders/common/`.
fn common(name: &str) -> &'static str {
    match name {
        "activation" => include_str!("../../shaders/common/activation.wgsl"),
        "block_off" => include_str!("../../shaders/common/block_off.wgsl"),
        "block_on" => include_str!("../../shaders/common/block_on.wgsl"),
        "chunks" => include_str!("../../shaders/common/chunks.wgsl"),
        "cooperative" => include_str!("../../shaders/common/cooperative.wgsl"),
        "direct" => include_str!("../../shaders/common/direct.wgsl"),
        "epilogue" => include_str!("../../shaders/common/epilogue.wgsl"),
        "epilogue_parts" => include_str!("../../shaders/common/epilogue_parts.wgsl"),
        "excite" => include_str!("../../shaders/common/excite.wgsl"),
        "floats" => include_str!("../../shaders/common/floats.wgsl"),
        "floats_wide" => include_str!("../../shaders/common/floats_wide.wgsl"),
        "grid" => include_str!("../../shaders/common/grid.wgsl"),
        "input_planes" => include_str!("../../shaders/common/input_planes.wgsl"),
        "input_quads" => include_str!("../../shaders/common/input_quads.wgsl"),
        "loads" => include_str!("../../shaders/common/loads.wgsl"),
        "loads_f16_wide" => include_str!("../../shaders/common/loads_f16_wide.wgsl"),
        "loads_f32_wide" => include_str!("../../shaders/common/loads_f32_wide.wgsl"),
        "matrix_8" => include_str!("../../shaders/common/matrix_8.wgsl"),
        "matrix_16" => include_str!("../../shaders/common/matrix_16.wgsl"),
        "reduce" => include_str!("../../shaders/common/reduce.wgsl"),
        "reduce_subgroup" => include_str!("../../shaders/common/reduce_subgroup.wgsl"),
        "rows" => include_str!("../../shaders/common/rows.wgsl"),
        "shuffle_off" => include_str!("../../shaders/common/shuffle_off.wgsl"),
        "shuffle_on" => include_str!("../../shaders/common/shuffle_on.wgsl"),
        "squeeze_off" => include_str!("../../shaders/common/squeeze_off.wgsl"),
        "squeeze_on" => include_str!("../../shaders/common/squeeze_on.wgsl"),
        "storage_f16" => include_str!("../../shaders/common/storage_f16.wgsl"),
        "storage_f32" => include_str!("../../shaders/common/storage_f32.wgsl"),
        "tiled" => include_str!("../../shaders/common/tiled.wgsl"),
        "weights" => include_str!("../../shaders/common/weights.wgsl"),
        "weights_subgroup" => include_str!("../../shaders/common/weights_subgroup.wgsl"),
        "unscaled" => include_str!("../../shaders/common/unscaled.wgsl"),
        "walk" => include_str!("../../shaders/common/walk.wgsl"),
        other => unreachable!("no common file {other}"),
    }
}

/// Declares a shader: its file, the common files, bindings after `params`, those among them that may be in half precision,
/// and overrides. `Params` must be in scope.
macro_rules! shader {
    ($name:literal, common: [$($common:literal),*], bindings: [$($access:ident $binding:ident),* $(,)?],
     $(halves: [$($half:ident),*],)? overrides: [$($override:ident),* $(,)?] $(,)?) => {
        $crate::kernels::Shader {
            name: $name,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl")),
            common: &[$($common),*],
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
