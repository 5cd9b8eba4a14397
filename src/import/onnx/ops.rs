//! The ops of ONNX, by name. Definitions: onnx/docs/Operators.md and Changelog.md.

mod conv;
mod elementwise;
mod layout;
mod linear;
mod normalize;
mod pool;
mod reduce;
mod resize;
mod sizes;

use super::Fail;
use super::translate::{Args, Translator};
use super::values::Val;
pub(super) use layout::permuted;

/// Translates one node: its results, in order. Those that nothing wants may be left out at the end.
pub(super) type Handler = fn(&mut Translator, &Args) -> Result<Vec<Val>, Fail>;

/// Whether a reader repeats its inputs by itself, so that an `Expand` before it costs nothing.
pub(super) fn repeats_by_itself(op: &str) -> bool {
    matches!(
        op,
        "Add"
            | "Sub"
            | "Mul"
            | "Div"
            | "Pow"
            | "Min"
            | "Max"
            | "Sum"
            | "Mean"
            | "Expand"
            | "Shape"
            | "Identity"
            | "Equal"
            | "Less"
            | "LessOrEqual"
            | "Greater"
            | "GreaterOrEqual"
            | "And"
            | "Or"
            | "Xor"
    )
}

/// Whether an op may read the input's integers: one that moves elements, and computes nothing.
pub(super) fn takes_bytes(op: &str) -> bool {
    casts(op)
        || matches!(
            op,
            "Identity"
                | "Shape"
                | "Size"
                | "Reshape"
                | "Flatten"
                | "Squeeze"
                | "Unsqueeze"
                | "Transpose"
                | "Concat"
                | "Split"
                | "Slice"
                | "Gather"
                | "Expand"
                | "Tile"
                | "DepthToSpace"
                | "SpaceToDepth"
        )
}

/// Whether an op changes the type of its elements.
pub(super) fn casts(op: &str) -> bool {
    matches!(op, "Cast" | "CastLike")
}

/// Whether an op works on values whose images are apart in another dimension than the first.
pub(super) fn knows_the_batch(op: &str) -> bool {
    matches!(op, "Transpose" | "Squeeze" | "Unsqueeze" | "Gather" | "Split" | "Slice" | "Shape" | "Identity")
}

/// Ops by name, and what translates them.
const HANDLERS: &[(&[&str], Handler)] = &[
    (&["Conv"], conv::conv),
    (&["ConvTranspose"], conv::conv_transpose),
    (&["BatchNormalization"], normalize::batch_norm),
    (&["InstanceNormalization"], normalize::instance_norm),
    (&["LayerNormalization"], normalize::layer_norm),
    (&["GroupNormalization"], normalize::group_norm),
    (&["MeanVarianceNormalization"], normalize::mean_variance_norm),
    (&["LpNormalization"], normalize::lp_norm),
    (&["LRN"], normalize::lrn),
    (&["Gemm"], linear::gemm),
    (&["MatMul"], linear::matmul),
    (&["MaxPool", "AveragePool"], pool::pool),
    (&["GlobalAveragePool", "GlobalMaxPool"], pool::global_pool),
    (
        &[
            "ReduceMean",
            "ReduceSum",
            "ReduceMax",
            "ReduceMin",
            "ReduceProd",
            "ReduceL1",
            "ReduceL2",
            "ReduceSumSquare",
            "ReduceLogSum",
            "ReduceLogSumExp",
        ],
        reduce::reduce,
    ),
    (&["CumSum"], reduce::running_sum),
    (&["Softmax", "LogSoftmax"], reduce::softmax),
    (&["Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Sum", "Mean"], elementwise::arithmetic),
    (
        &[
            "Relu",
            "LeakyRelu",
            "Sigmoid",
            "HardSigmoid",
            "HardSwish",
            "Swish",
            "Tanh",
            "Gelu",
            "Elu",
            "Selu",
            "Celu",
            "Softplus",
            "Softsign",
            "Mish",
            "Clip",
            "ThresholdedRelu",
        ],
        elementwise::activation,
    ),
    (
        &[
            "Abs",
            "Ceil",
            "Cos",
            "Erf",
            "Exp",
            "Floor",
            "Log",
            "Neg",
            "Reciprocal",
            "Round",
            "Sign",
            "Sin",
            "Sqrt",
            "Tan",
        ],
        elementwise::unary,
    ),
    (&["PRelu"], elementwise::prelu),
    (&["Cast", "CastLike"], sizes::cast),
    (&["Identity", "Dropout"], sizes::identity),
    (&["Constant"], sizes::constant),
    (&["ConstantOfShape"], sizes::constant_of_shape),
    (&["Shape"], sizes::shape),
    (&["Size"], sizes::size),
    (&["OneHot"], sizes::one_hot),
    (&["Range"], sizes::range),
    (&["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Xor", "Mod"], sizes::compare),
    (&["Not"], sizes::not),
    (&["Where"], sizes::choose),
    (&["Reshape"], layout::reshape),
    (&["Flatten"], layout::flatten),
    (&["Squeeze"], layout::squeeze),
    (&["Unsqueeze"], layout::unsqueeze),
    (&["Transpose"], layout::transpose),
    (&["Concat"], layout::concat),
    (&["Split"], layout::split),
    (&["Slice"], layout::slice),
    (&["Gather"], layout::gather),
    (&["GatherND"], layout::gather_nd),
    (&["Expand"], layout::expand),
    (&["Tile"], layout::tile),
    (&["Pad"], layout::pad),
    (&["DepthToSpace"], layout::depth_to_space),
    (&["SpaceToDepth"], layout::space_to_depth),
    (&["Resize", "Upsample"], resize::resize),
];

/// Returns what translates an op of this name.
pub(super) fn handler(op: &str) -> Option<Handler> {
    HANDLERS.iter().find(|(names, _)| names.contains(&op)).map(|(_, handler)| *handler)
}

/// Lists the ops of ONNX that files may have, in alphabetical order.
pub fn supported_ops() -> Vec<&'static str> {
    let mut names: Vec<_> = HANDLERS.iter().flat_map(|(names, _)| names.iter().copied()).collect();
    names.sort_unstable();
    names
}
