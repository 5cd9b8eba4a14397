//! Variants of shaders: axes with their values, each value a file of `shaders/axis/`, and how a source is composed of
//! them.
//!
//! A shader has the axes that its header imports. This file is the one place that knows what they are: composition, the
//! list of all variants, the tests of files and the coverage on adapters are loops over [`AXES`].

use std::fmt;

/// Which value of every axis a step's shader is composed of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Variant {
    /// What is loaded.
    pub load: Load,
    /// What is written.
    pub output: Output,
    /// How maps and weights are stored, and multiplied.
    pub storage: Storage,
    /// How many bits a load has, and whether subgroups share them.
    pub width: Width,
    /// How sums over a workgroup are computed.
    pub reduce: Reduce,
}

/// What a convolution loads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Load {
    /// A map, channels-last, in vectors of four channels.
    #[default]
    Vec4,
    /// The images as the caller gives them, NCHW.
    Nchw,
    /// A map whose channels are shuffled on load.
    Shuffled,
}

/// What a convolution writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Output {
    /// Its result.
    #[default]
    Store,
    /// Its result, and sums of it by channel and image as a side output.
    StoreAndSum,
    /// Its result, and the residual end that it computes on load as a side output.
    StoreAndKeepEnd,
    /// Sums of a part of its depth in `f32` (split-K), in place of its result.
    PartialSums,
}

/// How maps and the weights of convolutions are stored, and multiplied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Storage {
    /// In `f32`.
    #[default]
    F32,
    /// In half precision, converted to `f32` on load.
    F16,
    /// In half precision, multiplied by cooperative matrices with sums in `f32`.
    F16Matrices(MatrixSize),
}

/// How many bits a load has. Software adapters load number by number, so that loads of 64 bits are half as many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// Vectors as they are.
    #[default]
    Vector,
    /// Integers of 64 bits.
    U64,
    /// Integers of 64 bits, those of weights shared by a subgroup.
    U64Shared,
}

/// How a sum over a workgroup is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reduce {
    /// By a tree in workgroup memory.
    #[default]
    Workgroup,
    /// By subgroups, then over these.
    Subgroup,
}

/// Sides of the cooperative matrices that a subgroup multiplies, as the adapter has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatrixSize {
    /// 8 by 8
    Eight,
    /// 16 by 16
    Sixteen,
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

impl Variant {
    /// Whether maps are stored in half precision.
    pub fn half(self) -> bool {
        self.storage != Storage::F32
    }

    /// The cooperative matrices that it multiplies.
    pub fn matrices(self) -> Option<MatrixSize> {
        if let Storage::F16Matrices(size) = self.storage { Some(size) } else { None }
    }

    /// Whether the shader uses subgroup operations, those of cooperative matrices aside.
    pub fn subgroups(self) -> bool {
        self.reduce == Reduce::Subgroup || self.width == Width::U64Shared
    }

    /// Whether loads are integers of 64 bits.
    pub fn wide(self) -> bool {
        self.width != Width::Vector
    }

    /// Whether it reads the images as the caller gives them.
    pub fn nchw(self) -> bool {
        self.load == Load::Nchw
    }

    /// Whether it shuffles channels on load.
    pub fn shuffles(self) -> bool {
        self.load == Load::Shuffled
    }

    /// Whether sums of the result are a side output.
    pub fn sums(self) -> bool {
        self.output == Output::StoreAndSum
    }

    /// Whether the residual end is a side output.
    pub fn keeps_end(self) -> bool {
        self.output == Output::StoreAndKeepEnd
    }

    /// Whether it computes a part of the depth.
    pub fn partial_sums(self) -> bool {
        self.output == Output::PartialSums
    }

    /// What is more than plain about it.
    pub(crate) fn words(self) -> Vec<String> {
        let switches = [
            (self.subgroups(), "subgroups"),
            (self.sums(), "sums"),
            (self.keeps_end(), "residual end"),
            (self.partial_sums(), "split-K"),
            (self.nchw(), "NCHW"),
            (self.shuffles(), "shuffles"),
            (self.wide(), "wide"),
            (self.half(), "half"),
        ];
        let matrices = self.matrices().map(|size| format!("matrices of {size}"));
        switches.into_iter().filter(|(on, _)| *on).map(|(_, word)| word.into()).chain(matrices).collect()
    }

    /// Every variant of a shader that imports these axes.
    pub(super) fn all(has: impl Fn(&str) -> bool) -> Vec<Self> {
        let loads = [Load::Vec4].into_iter();
        let loads = loads.chain(has("input").then_some(Load::Nchw)).chain(has("order").then_some(Load::Shuffled));
        let outputs = [
            (true, Output::Store),
            (has("sums"), Output::StoreAndSum),
            (has("residual_end"), Output::StoreAndKeepEnd),
            (has("product"), Output::PartialSums),
        ];
        let matrices = MatrixSize::ALL.map(|size| (has("product"), Storage::F16Matrices(size)));
        let storages = [(true, Storage::F32), (has("storage"), Storage::F16)].into_iter().chain(matrices);
        let widths = [(true, Width::Vector), (has("floats"), Width::U64), (has("weights"), Width::U64Shared)];
        let reduces = [(true, Reduce::Workgroup), (has("reduce"), Reduce::Subgroup)];
        let mut all = vec![Self::default()];
        all = extended(all, loads, |variant, load| Self { load, ..variant });
        all = extended(all, chosen(outputs), |variant, output| Self { output, ..variant });
        all = extended(all, chosen(storages), |variant, storage| Self { storage, ..variant });
        all = extended(all, chosen(widths), |variant, width| Self { width, ..variant });
        all = extended(all, chosen(reduces), |variant, reduce| Self { reduce, ..variant });
        // The images have four channels at most: their depth is never split.
        all.retain(|variant| !(variant.partial_sums() && variant.nchw()));
        all
    }
}

fn chosen<T>(values: impl IntoIterator<Item = (bool, T)>) -> impl Iterator<Item = T> {
    values.into_iter().filter_map(|(has, value)| has.then_some(value))
}

/// Each of the variants with each of the values.
fn extended<T: Copy>(
    variants: Vec<Variant>,
    values: impl Iterator<Item = T>,
    with: impl Fn(Variant, T) -> Variant,
) -> Vec<Variant> {
    let values: Vec<T> = values.collect();
    variants
        .into_iter()
        .flat_map(|variant| values.iter().map(|&value| with(variant, value)).collect::<Vec<_>>())
        .collect()
}

/// What it has over the plain variant: `subgroups, squeeze, half`.
impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words();
        f.write_str(if words.is_empty() { "plain" } else { "" })?;
        f.write_str(&words.join(", "))
    }
}

/// An axis: a name of `shaders/axis/`, the files of its values with their texts, and which of them a variant takes.
#[derive(Debug)]
pub struct Axis {
    /// The folder below `shaders/axis/`.
    pub name: &'static str,
    /// Files below it, without `.wgsl`, and their texts.
    pub values: &'static [(&'static str, &'static str)],
    /// The index of a variant's value.
    pub of: fn(Variant) -> usize,
}

/// Texts of files below `shaders/`.
macro_rules! files {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../shaders/", $folder, "/", $name, ".wgsl")))),*]
    };
}

/// Every axis.
pub const AXES: &[Axis] = &[
    Axis { name: "storage", values: files!("axis/storage": "f32", "f16"), of: |v| v.half().into() },
    Axis { name: "floats", values: files!("axis/floats": "floats_u32", "floats_u64"), of: |v| v.wide().into() },
    Axis {
        name: "loads",
        values: files!("axis/loads": "loads_u32", "loads_f32_u64", "loads_f16_u64"),
        of: |v| if v.wide() { 1 + usize::from(v.half()) } else { 0 },
    },
    Axis {
        name: "weights",
        values: files!("axis/weights": "own_weights", "shared_weights"),
        of: |v| (v.width == Width::U64Shared).into(),
    },
    Axis {
        name: "reduce",
        values: files!("axis/reduce": "by_workgroup", "by_subgroup"),
        of: |v| (v.reduce == Reduce::Subgroup).into(),
    },
    Axis { name: "input", values: files!("axis/input": "vec4_input", "nchw_input"), of: |v| v.nchw().into() },
    Axis { name: "order", values: files!("axis/order": "plain_order", "shuffled_order"), of: |v| v.shuffles().into() },
    Axis { name: "sums", values: files!("axis/sums": "without_sums", "with_sums"), of: |v| v.sums().into() },
    Axis {
        name: "residual_end",
        values: files!("axis/residual_end": "without_residual_end", "with_residual_end"),
        of: |v| v.keeps_end().into(),
    },
    Axis {
        name: "epilogue",
        values: files!("axis/epilogue": "whole_sum", "partial_sum"),
        of: |v| v.partial_sums().into(),
    },
    Axis { name: "product", values: files!("axis/product": "fma", "matrices"), of: |v| v.matrices().is_some().into() },
    Axis {
        name: "matrix",
        values: files!("axis/matrix": "no_matrix", "matrix_8", "matrix_16"),
        of: |v| v.matrices().map_or(0, |size| 1 + size as usize),
    },
];

/// What shaders share, whatever the variant.
pub const LIB: &[(&str, &str)] = files!("lib":
    "act", "both_layers", "grid", "ordered_rows", "register_tile", "row_reductions", "strided_index", "unscaled",
);

/// What a file's header says it imports: `lib/grid`, `axis/storage`.
pub(super) fn imports(text: &str) -> impl Iterator<Item = &str> {
    let header = text.lines().take_while(|line| line.starts_with("//"));
    header.filter_map(|line| line.strip_prefix("// Imports ")).flat_map(str::split_whitespace)
}

/// The text of an import in a variant.
///
/// # Panics
/// There is no such file: `tests/host/shaders.rs` composes every variant of every shader.
pub(super) fn imported(import: &str, variant: Variant) -> &'static str {
    let found = match import.split_once('/') {
        Some(("lib", name)) => LIB.iter().find(|(file, _)| *file == name).map(|(_, text)| *text),
        Some(("axis", name)) => {
            AXES.iter().find(|axis| axis.name == name).map(|axis| axis.values[(axis.of)(variant)].1)
        }
        _ => None,
    };
    found.unwrap_or_else(|| panic!("a shader imports {import}, which is neither in lib nor an axis"))
}
