//! What the fuzzers in fuzz/ call, and the tests with the inputs that those found worth keeping. Nothing here may panic,
//! whatever the bytes.

use super::onnx_bytes;
use excite::import::onnx::{Onnx, OnnxOptions};
use excite::model::Labels;
use excite::ops::{Act, Conv2d, Linear};
use excite::plan::Target;
use excite::plan::{Plan, PlanOptions, Ranges};
use excite::tuning::Tuning;
use excite::{Graph, GraphBuilder, Shape, Tensor, Weights};

/// Most multiply-adds and elements of a value for which a graph is planned and run.
const SMALL: u64 = 1 << 16;

/// A file of a network: read, translated, planned and run.
pub fn onnx(bytes: &[u8]) {
    // A tensor's file is read by other code than a network's.
    let _ = Tensor::from_onnx_bytes(bytes.to_vec(), "fuzzed");
    let Ok(file) = Onnx::from_bytes(bytes.to_vec(), "fuzzed") else { return };
    let _ = (file.producer(), file.opset(), file.inputs(), file.outputs(), file.ops(), file.parameters());
    let options = OnnxOptions::default().size([8, 8]).channels_first(true);
    let _ = (file.check_data(), file.unread_files(), file.input(&options));
    let Ok(model) = file.model(&options) else { return };
    let elements = |shape: Shape| shape.dims().iter().product::<usize>() as u64;
    let sizes = model.graph.nodes().iter().map(|node| elements(node.shape));
    if model.graph.macs() > SMALL || sizes.fold(elements(model.graph.input_shape()), u64::saturating_add) > SMALL {
        return;
    }
    for batch in [1, 3] {
        if let Ok(plan) = Plan::new(&model.graph, batch, &Target::gpu(), &PlanOptions::default()) {
            let _ = (plan.activation_bytes(), plan.weight_bytes(), plan.bytes_moved());
        }
    }
    let input = Tensor::zeros(model.graph.input_shape().with_batch(1));
    let _ = model.graph.reference(&input, &model.weights);
}

/// A file of weights: checked against a small network, and each of its tensors read.
pub fn safetensors(bytes: &[u8]) {
    let Ok(weights) = Weights::from_safetensors_bytes(bytes.to_vec(), "fuzzed") else { return };
    let graph = small();
    for (name, shape) in graph.tensors() {
        let _ = weights.get(&name, &shape);
    }
    if let Ok(weights) = weights.fit(&graph) {
        let input = Tensor::zeros(graph.input_shape().with_batch(1));
        let _ = graph.reference(&input, &weights);
    }
}

/// A `config.json`, an index of weights in several files, ranges, a tuning, and names of classes.
pub fn json(bytes: &[u8]) {
    let row = excite::zoo::pretrained("seresnet50").expect("a row of the table");
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = row.with_config(text);
    }
    let name = format!("excite-fuzzed-{}-{:?}", std::process::id(), std::thread::current().id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("a place for temporary files");
    let file = folder.join("model.safetensors.index.json");
    std::fs::write(&file, bytes).expect("a place for temporary files");
    let _ = Weights::open(&folder);
    if let Ok(ranges) = Ranges::load(&file) {
        let _ = ranges.descending();
    }
    let _ = Tuning::load(&file);
    if let Ok(labels) = Labels::from_file(&file, 2) {
        let _ = (labels.name(1), labels.name(2));
    }
    std::fs::remove_dir_all(&folder).expect("a place for temporary files");
}

fn small() -> Graph {
    let mut graph = GraphBuilder::new("small");
    let x = graph.input(Shape::map(1, 2, 2)).expect("a sound shape");
    let x = graph.conv2d("conv", x, Conv2d::new(2, 1).bias(false)).expect("a sound graph");
    let x = graph.activation("act", x, Act::Relu).expect("a sound graph");
    let x = graph.global_avg_pool("pool", x).expect("a sound graph");
    let x = graph.linear("fc", x, Linear::new(2)).expect("a sound graph");
    graph.finish(&[("logits", x)]).expect("a sound graph")
}

/// A file of nodes that the bytes choose, sound as a file and mostly nonsense as a network.
pub fn nodes(bytes: &[u8]) {
    onnx(&chosen(&mut Choices(bytes)));
}

/// Decisions, one a byte; all the same at the end.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn below(&mut self, count: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % count
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn list(&mut self, most: usize) -> Vec<i64> {
        (0..self.below(most + 1)).map(|_| self.of(INTEGERS)).collect()
    }
}

const OPS: &str = "Conv ConvTranspose BatchNormalization InstanceNormalization LayerNormalization GroupNormalization \
    MeanVarianceNormalization LpNormalization LRN Gemm MatMul MaxPool AveragePool GlobalAveragePool GlobalMaxPool \
    ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSumExp Softmax LogSoftmax Add Sub Mul \
    Div Pow Min Max Sum Mean Relu LeakyRelu Sigmoid HardSigmoid HardSwish Swish Tanh Gelu Elu Celu Clip ThresholdedRelu \
    Abs Ceil Exp Floor Log Neg Reciprocal Round Sqrt PRelu Cast CastLike Identity Dropout Constant ConstantOfShape Shape \
    Size Range Equal Less And Mod Not Where Reshape Flatten Squeeze Unsqueeze Transpose Concat Split Slice Gather Expand \
    Tile Pad DepthToSpace SpaceToDepth Resize Upsample";
const INT_NAMES: &str = "axis group keepdims blocksize num_groups p size start end to value_int ceil_mode transA transB \
    allowzero noop_with_empty_axes count_include_pad antialias";
const LIST_NAMES: &str =
    "axes perm pads shape split starts ends kernel_shape strides dilations output_padding output_shape value_ints";
const TEXTS: &[(&str, &[&str])] = &[
    ("auto_pad", &["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]),
    ("mode", &["constant", "reflect", "edge", "wrap", "nearest", "linear", "DCR", "CRD"]),
    ("coordinate_transformation_mode", &["asymmetric", "align_corners", "half_pixel_symmetric", "tf_crop_and_resize"]),
    ("keep_aspect_ratio_policy", &["stretch", "not_larger", "not_smaller"]),
    ("nearest_mode", &["floor", "ceil", "round_prefer_ceil"]),
    ("approximate", &["none", "tanh"]),
];
const INTEGERS: &[i64] = &[
    1,
    2,
    3,
    4,
    0,
    -1,
    -2,
    5,
    6,
    7,
    8,
    9,
    16,
    32,
    64,
    1000,
    65_535,
    -3,
    1 << 20,
    1 << 24,
    1 << 31,
    1 << 32,
    1 << 62,
    i64::MIN,
    i64::MAX,
    -1000,
];
const FLOATS: &[f32] = &[0.0, 1.0, -1.0, 0.5, 2.0, 3.0, 1e-30, 1e30, f32::NAN, f32::INFINITY, -0.0, 1e7];

fn chosen(choices: &mut Choices) -> Vec<u8> {
    let named = |list: &str| list.split_whitespace().map(String::from).collect::<Vec<String>>();
    let (ops, int_names, list_names) = (named(OPS), named(INT_NAMES), named(LIST_NAMES));
    let opset = choices.of(&[9, 11, 13, 18, 21]);
    let input = choices.of(&[[1, 4, 8, 8].as_slice(), &[1, 8, 1, 1], &[1, 6], &[2, 4, 4, 4], &[1, 3, 5], &[3, 7], &[]]);
    let mut names = vec!["x".to_string()];
    let mut tensors = Vec::new();
    for i in 0..choices.below(7) {
        let name = format!("t{i}");
        tensors.push(match choices.below(3) {
            0 => onnx_bytes::ints(&name, &choices.list(5)),
            1 => {
                let data: Vec<f32> = (0..choices.below(5)).map(|_| choices.of(FLOATS)).collect();
                onnx_bytes::floats(&name, &[data.len() as i64], &data)
            }
            _ => {
                let dims: Vec<i64> = (0..choices.below(5)).map(|_| choices.of(&[1, 2, 4, 3, 8, 0])).collect();
                let count = dims.iter().product::<i64>() as usize;
                onnx_bytes::floats(&name, &dims, &vec![choices.of(FLOATS); count])
            }
        });
        names.push(name);
    }
    let mut nodes = Vec::new();
    for i in 0..1 + choices.below(12) {
        let op = &ops[choices.below(ops.len())];
        // Most nodes read what the last one made.
        let mut inputs = vec![names[names.len() - 1].clone()];
        for place in 0..choices.below(5) {
            let input = match choices.below(names.len() + 1) {
                0 => String::new(),
                at => names[at - 1].clone(),
            };
            if place == 0 { inputs[0] = input } else { inputs.push(input) }
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let outputs: Vec<String> = (0..1 + choices.below(8) / 6).map(|k| format!("n{i}.{k}")).collect();
        let mut node = onnx_bytes::node(op, &inputs, &outputs.iter().map(String::as_str).collect::<Vec<_>>());
        for _ in 0..choices.below(5) {
            node = match choices.below(5) {
                0 => node.with_int(&int_names[choices.below(int_names.len())], choices.of(INTEGERS)),
                1 | 2 => node.with_ints(&list_names[choices.below(list_names.len())], &choices.list(6)),
                3 => {
                    let (name, values) = choices.of(TEXTS);
                    node.with_text(name, choices.of(values))
                }
                _ if choices.below(2) == 0 => node.with_tensor("value", onnx_bytes::ints("", &choices.list(3))),
                _ => node.with_float(choices.of(&["alpha", "beta", "epsilon", "value", "bias"]), choices.of(FLOATS)),
            };
        }
        nodes.push(node);
        names.extend(outputs);
    }
    let last = names[names.len() - 1].clone();
    let given = [onnx_bytes::value("x", input)];
    // The nodes as they are, or as a function that is called through others.
    let depth = choices.below(4);
    if depth == 0 {
        return onnx_bytes::model(opset, onnx_bytes::graph(&given, &tensors, &nodes, &[&last]));
    }
    let inputs: Vec<&str> = names[..=tensors.len()].iter().map(String::as_str).collect();
    let mut functions = vec![onnx_bytes::function("F0", &inputs, &[&last], &nodes)];
    for i in 1..depth {
        let call = onnx_bytes::call(&format!("F{}", i - choices.below(2)), &inputs, &["b"]);
        functions.push(onnx_bytes::function(&format!("F{i}"), &inputs, &["b"], &[call]));
    }
    let call = onnx_bytes::call(&format!("F{}", depth - 1), &inputs, &["y"]);
    onnx_bytes::model_with(opset, onnx_bytes::graph(&given, &tensors, &[call], &["y"]), &functions)
}
