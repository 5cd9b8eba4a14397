//! The stand-alone SE block: every layout and variant, on the user's buffers, in the user's encoder.
//! How `src/gpu/se_block.rs`, `src/kernels/squeeze_excite/{dense,strided}.rs`,
//! `shaders/squeeze_excite/*_{dense,strided}.wgsl`

use crate::buffers::{ANY, counters, read, upload};
use crate::check::graph;
use crate::common::compare::{Tolerance, compare, numbers};
use crate::machine::Machine;
use crate::{Case, Outcome, ensure};
use excite::ops::{Act, PoolKind, SqueezeExcite};
use excite::plan::{Fusion, SeVariant};
use excite::{Error, SeBlock, SeBlockOptions, SeLayout, Shape, Tensor, Weights, wgpu};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("block/nchw", |m| table(m, NCHW)),
        Case::new("block/anywhere_in_a_batch", anywhere_in_a_batch),
        Case::new("block/nhwc_vec4s", |m| table(m, NHWC_VEC4S)),
        Case::new("block/nhwc_odd", |m| table(m, NHWC_ODD)),
        Case::new("block/one_after_the_other", one_after_the_other),
        Case::new("block/makes_nothing", makes_nothing),
        Case::new("block/refusals", refusals),
    ]
}

/// A block: what is not said is the paper's.
struct Row {
    layout: SeLayout,
    /// `[C,H,W]`
    shape: [usize; 3],
    batch: usize,
    reduced: usize,
    variant: Option<SeVariant>,
    squeeze: PoolKind,
    bias: bool,
    residual: bool,
    act: Act,
    fusion: Fusion,
    checks: bool,
}

const fn row(layout: SeLayout, shape: [usize; 3], batch: usize, reduced: usize, variant: Option<SeVariant>) -> Row {
    Row {
        layout,
        shape,
        batch,
        reduced,
        variant,
        squeeze: PoolKind::Avg,
        bias: true,
        residual: false,
        act: Act::Identity,
        fusion: Fusion::Full,
        checks: true,
    }
}

impl Row {
    const fn max(self) -> Self {
        Self { squeeze: PoolKind::Max, ..self }
    }

    const fn avg_max(self) -> Self {
        Self { squeeze: PoolKind::AvgMax, ..self }
    }

    const fn no_bias(self) -> Self {
        Self { bias: false, ..self }
    }

    /// As an SE-ResNet block ends.
    const fn ends(self) -> Self {
        Self { residual: true, act: Act::Relu, ..self }
    }

    const fn act(self, act: Act) -> Self {
        Self { act, ..self }
    }

    const fn fusion(self, fusion: Fusion) -> Self {
        Self { fusion, ..self }
    }

    const fn unchecked(self) -> Self {
        Self { checks: false, ..self }
    }

    fn options(&self) -> SeBlockOptions {
        let se = SqueezeExcite { squeeze: self.squeeze, bias: self.bias, ..SqueezeExcite::new(self.reduced) };
        SeBlockOptions::new(se, self.layout)
            .residual(self.residual)
            .act(self.act)
            .variant(self.variant)
            .fusion(self.fusion)
            .shader_checks(self.checks)
    }

    fn shape(&self) -> Shape {
        Shape::map(self.shape[0], self.shape[1], self.shape[2])
    }

    fn describe(&self) -> String {
        format!("{} batch {}: {:?}", self.shape(), self.batch, self.options())
    }
}

use SeLayout::{Nchw, Nhwc};
use SeVariant::{Block, Excite, Spread};

const NCHW: &[Row] = &[
    row(Nchw, [1, 1, 1], 1, 1, None),
    row(Nchw, [3, 1, 7], 5, 1, Some(Spread)).ends().max(),
    row(Nchw, [5, 7, 7], 2, 2, Some(Excite)).unchecked(),
    row(Nchw, [64, 13, 11], 2, 4, Some(Block)).ends().unchecked(),
    row(Nchw, [65, 7, 7], 1, 17, Some(Spread)).no_bias().unchecked(),
    row(Nchw, [257, 56, 56], 1, 16, None).act(Act::Silu),
    row(Nchw, [2048, 2, 3], 2, 128, None).max().no_bias().ends(),
    row(Nchw, [8192, 1, 1], 2, 8, None),
    row(Nchw, [6, 13, 11], 2, 3, Some(Spread)).avg_max(),
    row(Nchw, [65, 20, 17], 1, 4, None).avg_max().ends().unchecked(),
    // By vec4s: planes that begin with one or anywhere in it, as small as may be, and channels that are no multiple of 4.
    row(Nchw, [4, 1, 3], 5, 2, Some(Spread)).max().ends(),
    row(Nchw, [12, 7, 7], 3, 3, None).ends().unchecked(),
    row(Nchw, [6, 2, 3], 3, 2, Some(Excite)).avg_max().act(Act::HardSwish),
    row(Nchw, [7, 2, 2], 2, 3, None).unchecked(),
    row(Nchw, [36, 9, 5], 2, 5, None).max().no_bias(),
];

/// What networks have inside: every variant.
const NHWC_VEC4S: &[Row] = &[
    row(Nhwc, [4, 1, 1], 1, 1, None),
    row(Nhwc, [64, 7, 7], 2, 4, Some(Spread)).ends(),
    row(Nhwc, [64, 7, 7], 2, 4, Some(Excite)).unchecked(),
    row(Nhwc, [64, 7, 7], 5, 4, Some(Block)).ends().unchecked(),
    row(Nhwc, [260, 13, 11], 1, 5, Some(Block)).max().no_bias(),
    row(Nhwc, [64, 7, 7], 2, 4, Some(Spread)).avg_max(),
    row(Nhwc, [64, 13, 11], 3, 4, Some(Block)).avg_max().ends().unchecked(),
    row(Nhwc, [64, 7, 7], 2, 4, None).avg_max().fusion(Fusion::None),
    row(Nhwc, [64, 7, 7], 2, 4, None).ends().fusion(Fusion::None),
    row(Nhwc, [64, 7, 7], 2, 4, None).ends().fusion(Fusion::Kernels).unchecked(),
    row(Nhwc, [256, 56, 56], 1, 16, None).ends().unchecked(),
    row(Nhwc, [8192, 2, 1], 1, 8, None).act(Act::HardSwish),
];

const NHWC_ODD: &[Row] = &[
    row(Nhwc, [1, 3, 5], 2, 1, None),
    row(Nhwc, [3, 7, 7], 5, 3, Some(Spread)).ends().max().unchecked(),
    row(Nhwc, [65, 13, 11], 1, 4, Some(Excite)).ends(),
    row(Nhwc, [257, 1, 1], 2, 5, Some(Block)).no_bias().unchecked(),
    row(Nhwc, [5, 13, 11], 2, 2, Some(Excite)).avg_max(),
];

/// Numbers that nothing may write to, behind the output.
const SENTINEL: f32 = -12345.0;
const GUARD: usize = 64;

/// The block's tensors from a seed.
fn weights(options: &SeBlockOptions, channels: usize) -> excite::Result<Vec<(String, Tensor)>> {
    let seeded = Weights::seeded(3, 1.0);
    let reduced = options.se.reduced;
    let mut tensors = vec![("fc1.weight", vec![reduced, channels]), ("fc2.weight", vec![channels, reduced])];
    if options.se.bias {
        tensors.extend([("fc1.bias", vec![reduced]), ("fc2.bias", vec![channels])]);
    }
    tensors.into_iter().map(|(name, shape)| Ok((name.to_string(), seeded.get(name, &shape)?))).collect()
}

/// `act(x * gate + residual)` with the gate of the reference.
fn reference(row: &Row, input: &Tensor, residual: Option<&Tensor>) -> excite::Result<Tensor> {
    let gate = graph(row.shape, |g, x| g.add("se", excite::ops::Op::SqueezeExcite(row.options().se), &[x]));
    let named = weights(&row.options(), row.shape[0])?.into_iter().map(|(name, tensor)| (format!("se.{name}"), tensor));
    let gate = gate.reference(input, &Weights::from_tensors(named))?.remove("y").expect("the output");
    let plane = row.shape[1] * row.shape[2];
    Ok(Tensor::from_fn(input.shape(), |i| {
        let scaled = f64::from(input.data()[i]) * f64::from(gate.data()[i / plane]);
        row.act.apply(scaled + residual.map_or(0.0, |r| f64::from(r.data()[i]))) as f32
    }))
}

/// From `[N,C,H,W]` to the order of the layout, and back.
fn lay_out(layout: SeLayout, shape: Shape, nchw: &[f32]) -> Vec<f32> {
    let mut laid = vec![0.0; nchw.len()];
    each_place(layout, shape, nchw.len(), |dense, there| laid[there] = nchw[dense]);
    laid
}

fn take_out(layout: SeLayout, shape: Shape, laid: &[f32]) -> Vec<f32> {
    let mut nchw = vec![0.0; laid.len()];
    each_place(layout, shape, laid.len(), |dense, there| nchw[dense] = laid[there]);
    nchw
}

fn each_place(layout: SeLayout, shape: Shape, len: usize, mut f: impl FnMut(usize, usize)) {
    let (channels, plane) = (shape.channels(), shape.plane());
    for dense in 0..len {
        let (image, channel, pixel) = (dense / (channels * plane), dense / plane % channels, dense % plane);
        f(dense, if layout == Nchw { dense } else { (image * plane + pixel) * channels + channel });
    }
}

fn table(machine: &Machine, rows: &[Row]) -> Outcome {
    rows.iter().try_for_each(|row| check(machine, row).map_err(|e| format!("{e}\n{}", row.describe())))?;
    Ok(())
}

fn check(machine: &Machine, row: &Row) -> Result<(), String> {
    let gpu = machine.gpu(row.checks);
    let (device, queue) = (gpu.device(), gpu.queue());
    let shape = row.shape();
    let text = |error: Error| error.to_string();
    let dims = shape.with_batch(row.batch);
    let (input, other) = (numbers(21, &dims), numbers(22, &dims));
    let residual = row.residual.then_some(&other);
    let expected = reference(row, &input, residual).map_err(text)?;

    let weights = Weights::from_tensors(weights(&row.options(), row.shape[0]).map_err(text)?);
    let block = SeBlock::new(device, &row.options(), shape, row.batch, &weights).map_err(text)?;
    // What lies behind the maps must not count, and must stay.
    let behind = |numbers: &[f32], guard: f32| [numbers, &[guard; GUARD]].concat();
    let laid = |tensor: &Tensor| behind(&lay_out(row.layout, shape, tensor.data()), f32::NAN);
    let x = upload(device, &laid(&input));
    let r = residual.map(|residual| upload(device, &laid(residual)));
    let y = upload(device, &behind(&vec![f32::NAN; input.data().len()], SENTINEL));

    let binding = block.bind(&x, r.as_ref(), &y).map_err(text)?;
    for run in 1..=2 {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        block.encode(&mut encoder, &binding);
        queue.submit([encoder.finish()]);
        let mut got = read(device, queue, &y)?;
        let guard = got.split_off(input.data().len());
        if let Some(at) = guard.iter().position(|&word| word != SENTINEL) {
            return Err(format!("run {run}: written {at} numbers behind the output"));
        }
        let got = Tensor::new(dims.clone(), take_out(row.layout, shape, &got)).map_err(text)?;
        compare(&expected, &got, Tolerance::Op).map_err(|e| format!("run {run}: {e}"))?;
    }
    machine.block_ran(&SeBlock::plan(&row.options(), shape, row.batch, gpu.target()).map_err(text)?);
    let same = |what: &str, buffer: &wgpu::Buffer, tensor: &Tensor| {
        let found = read(device, queue, buffer)?;
        let untouched = found[..tensor.data().len()] == laid(tensor)[..tensor.data().len()];
        if untouched { Ok(()) } else { Err(format!("the {what} was written to")) }
    };
    same("input", &x, &input)?;
    r.as_ref().map_or(Ok(()), |r| same("residual", r, &other))?;
    Ok(())
}

/// Maps are read by vec4s where every image begins with one, and an image then has the same bits anywhere in a batch;
/// so it has where maps are read element by element.
fn anywhere_in_a_batch(machine: &Machine) -> Outcome {
    let gpu = machine.gpu(true);
    for (shape, by_vec4s) in [
        ([12, 7, 7], true),
        ([6, 9, 2], true),
        ([7, 2, 2], true),
        ([4, 1, 3], true),
        ([6, 7, 7], false),
        ([4, 1, 2], false),
        ([5, 3, 3], false),
    ] {
        let row = row(Nchw, shape, 3, 2, None).avg_max().ends();
        let plan = SeBlock::plan(&row.options(), row.shape(), row.batch, gpu.target())?;
        let dense = plan.steps.iter().filter(|step| step.shader.name.ends_with("_dense")).count();
        ensure(dense == if by_vec4s { 2 } else { 0 }, format!("{dense} steps by vec4s\n{plan}"))?;

        let image = numbers(25, &row.shape().with_batch(1));
        let input = image.data().repeat(row.batch);
        let weights = Weights::from_tensors(weights(&row.options(), shape[0])?);
        let block = SeBlock::new(gpu.device(), &row.options(), row.shape(), row.batch, &weights)?;
        let (x, y) = (upload(gpu.device(), &input), upload(gpu.device(), &vec![f32::NAN; input.len()]));
        let binding = block.bind(&x, Some(&x), &y)?;
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        block.encode(&mut encoder, &binding);
        gpu.queue().submit([encoder.finish()]);
        let got = read(gpu.device(), gpu.queue(), &y)?;
        let first = &got[..image.data().len()];
        ensure(got.chunks(first.len()).all(|other| other == first), format!("images differ: {}", row.describe()))?;
    }
    Ok(())
}

/// Two bindings of one block in one encoder, between the user's own commands: the second reads what the first writes.
fn one_after_the_other(machine: &Machine) -> Outcome {
    let gpu = machine.gpu(true);
    let (device, queue) = (gpu.device(), gpu.queue());
    for layout in [Nchw, Nhwc] {
        let row = row(layout, [8, 5, 3], 2, 3, None);
        let input = numbers(23, &row.shape().with_batch(row.batch));
        let once = reference(&row, &input, None)?;
        let twice = reference(&row, &once, None)?;
        let weights = Weights::from_tensors(weights(&row.options(), 8)?);
        let block = SeBlock::new(device, &row.options(), row.shape(), row.batch, &weights)?;

        let source = upload(device, &lay_out(layout, row.shape(), input.data()));
        let [x, y, copy] = [(); 3].map(|()| upload(device, &vec![f32::NAN; input.data().len()]));
        let there = block.bind(&x, None, &y)?;
        let back = block.bind(&y, None, &x)?;
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&source, 0, &x, 0, source.size());
        block.encode(&mut encoder, &there);
        block.encode(&mut encoder, &back);
        encoder.copy_buffer_to_buffer(&x, 0, &copy, 0, copy.size());
        encoder.clear_buffer(&x, 0, None);
        queue.submit([encoder.finish()]);
        for (what, buffer, expected) in [("first", &y, &once), ("second", &copy, &twice)] {
            let got = take_out(layout, row.shape(), &read(device, queue, buffer)?);
            compare(expected, &Tensor::new(expected.shape(), got)?, Tolerance::Op)
                .map_err(|e| format!("{what}: {e}"))?;
        }
    }
    Ok(())
}

/// Recording makes no object and does no work until the user submits.
fn makes_nothing(machine: &Machine) -> Outcome {
    let (device, queue) = machine.user_device(|_| ())?;
    let row = row(Nchw, [8, 5, 3], 2, 3, None);
    let weights = Weights::from_tensors(weights(&row.options(), 8)?);
    let block = SeBlock::new(&device, &row.options(), row.shape(), row.batch, &weights)?;
    let input = numbers(24, &row.shape().with_batch(row.batch));
    let x = upload(&device, input.data());
    let y = upload(&device, &vec![7.0; input.data().len()]);
    let binding = block.bind(&x, None, &y)?;
    queue.submit([]);
    device.poll(wgpu::PollType::wait_indefinitely()).map_err(|e| e.to_string())?;

    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let before = counters(&device);
    ensure(before.iter().any(|&(what, n)| what == "buffers" && n > 5), format!("nothing is counted: {before:?}"))?;
    for _ in 0..10 {
        block.encode(&mut encoder, &binding);
    }
    ensure(counters(&device) == before, format!("before {before:?}, after {:?}", counters(&device)))?;
    ensure(read(&device, &queue, &y)? == vec![7.0; input.data().len()], "recording has done the work")?;
    queue.submit([encoder.finish()]);
    let got = Tensor::new(input.shape(), read(&device, &queue, &y)?)?;
    Ok(compare(&reference(&row, &input, None)?, &got, Tolerance::Op)?)
}

fn refusals(machine: &Machine) -> Outcome {
    let device = machine.gpu(true).device();
    let plain = row(Nchw, [4, 3, 3], 2, 2, None);
    let ends = row(Nchw, [4, 3, 3], 2, 2, None).ends();
    let make = |row: &Row| -> excite::Result<SeBlock> {
        let weights = Weights::from_tensors(weights(&row.options(), 4)?);
        SeBlock::new(device, &row.options(), row.shape(), row.batch, &weights)
    };
    let says = |what: &str, result: Option<Error>, expected: &str| {
        let message = result.map(|e| e.to_string()).unwrap_or_default();
        ensure(message.contains(expected), format!("{what}: \"{message}\" does not contain \"{expected}\""))
    };
    let buffer = |numbers: usize, usage| {
        let size = 4 * numbers as u64;
        device.create_buffer(&wgpu::BufferDescriptor { label: Some("user"), size, usage, mapped_at_creation: false })
    };
    let (x, r, y) = (buffer(72, ANY), buffer(72, ANY), buffer(72, ANY));
    let (small, other_usage) = (buffer(71, ANY), buffer(72, wgpu::BufferUsages::COPY_DST));

    let block = make(&plain)?;
    says("one buffer for both", block.bind(&x, None, &x).err(), "the output must be another buffer than the inputs")?;
    says("small input", block.bind(&small, None, &y).err(), "needs 288 bytes, a buffer has 284")?;
    says("small output", block.bind(&x, None, &small).err(), "needs 288 bytes, a buffer has 284")?;
    says("a residual too many", block.bind(&x, Some(&r), &y).err(), "expects no residual")?;
    says("no storage buffer", block.bind(&other_usage, None, &y).err(), "STORAGE")?;
    let block = make(&ends)?;
    says("no residual", block.bind(&x, None, &y).err(), "expects a residual")?;
    says("residual is output", block.bind(&x, Some(&y), &y).err(), "another buffer than the inputs")?;
    says("small residual", block.bind(&x, Some(&small), &y).err(), "needs 288 bytes, a buffer has 284")?;
    // Reading twice is no harm.
    block.bind(&x, Some(&x), &y)?;

    let fused = |layout| Row { fusion: Fusion::None, ..row(layout, [4, 3, 3], 2, 2, None) };
    make(&fused(Nhwc))?;
    says("unfused on odd maps", make(&fused(Nchw)).err(), "less than full fusion needs [N,H,W,C] buffers")?;
    says("batch 0", make(&Row { batch: 0, ..row(Nchw, [4, 3, 3], 2, 2, None) }).err(), "batch must be at least 1")?;
    let fewer = weights(&plain.options(), 4)?.into_iter().skip(1);
    let refusal = SeBlock::new(device, &plain.options(), plain.shape(), 2, &Weights::from_tensors(fewer));
    says("a weight less", refusal.err(), "1 missing: fc1.weight")?;
    let other = Weights::from_tensors(weights(&plain.options(), 5)?);
    says("others' weights", SeBlock::new(device, &plain.options(), plain.shape(), 2, &other).err(), "of another shape")
}
