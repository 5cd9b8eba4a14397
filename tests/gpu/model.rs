//! The front door: whatever images are in and wherever outputs stay, the bits are the executor's.

use crate::common::compare::{Tolerance, compare};
use crate::machine::Machine;
use crate::{Case, Outcome, ensure};
use excite::gpu::{Executor, ExecutorOptions};
use excite::model::{Labels, ModelOptions};
use excite::ops::Linear;
use excite::{Error, Gpu, GraphBuilder, Input, Model, Network, Options, Outputs, Shape, Tensor, Weights, wgpu, zoo};
use std::sync::Arc;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("model/inputs", inputs),
        Case::new("model/many", many),
        Case::new("model/outputs", outputs),
        Case::new("model/device", device),
        Case::new("model/features", features),
        Case::new("model/classify", classify),
        #[cfg(feature = "image")]
        Case::new("model/images", image_inputs),
        Case::new("model/fixed_batch", fixed_batch),
        Case::new("model/errors", errors),
        Case::new("model/request", request),
    ]
}

const NAME: &str = "digits_seresnet";

fn network(machine: &Machine, options: Options) -> excite::Result<Network> {
    Model::pretrained(NAME)?.compile(machine.gpu(true), options)
}

/// Samples of 8 bits, `[N,H,W,C]`; and the floats that the network reads for them.
fn images(count: usize) -> (Vec<u8>, Tensor) {
    let samples: Vec<u8> = (0..64 * count).map(|i| (i * 7919 % 251) as u8).collect();
    // One channel, mean 0, deviation 1.
    let floats = Tensor::from_fn([count, 1, 8, 8], |i| f32::from(samples[i]) / 255.0);
    (samples, floats)
}

fn same(what: &str, expected: &Tensor, found: &Tensor) -> Outcome {
    compare(expected, found, Tolerance::Exact).map_err(|e| format!("{what}: {e}").into())
}

fn se_block(network: &Network) -> String {
    network.graph().se_blocks().next().expect("it has SE blocks").name.clone()
}

/// A buffer on the device with these bytes, padded to whole words.
fn buffer(gpu: &Gpu, bytes: &[u8]) -> wgpu::Buffer {
    let mut words = bytes.to_vec();
    words.resize(bytes.len().next_multiple_of(4), 0);
    let usage = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let size = words.len() as u64;
    let buffer =
        gpu.device().create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
    gpu.queue().write_buffer(&buffer, 0, &words);
    buffer
}

/// Tensors, slices, samples and buffers give the same bits as an executor does, gates included.
fn inputs(machine: &Machine) -> Outcome {
    let network = network(machine, Options::default().gates(true))?;
    let gpu = network.gpu();
    for count in [1, 3] {
        let (samples, floats) = images(count);
        let graph = zoo::build(NAME, &Default::default())?.with_gate_outputs();
        let weights = zoo::bundled_weights(NAME).ok_or("the weights are bundled")?;
        let expected = Executor::new(gpu, &graph, &weights, ExecutorOptions::default())?.run_all(&floats)?;
        let bytes: Vec<u8> = floats.data().iter().flat_map(|x| x.to_ne_bytes()).collect();
        let (on_device, samples_there) = (buffer(gpu, &bytes), buffer(gpu, &samples));
        let values = floats.data().to_vec();
        for (what, input) in [
            ("a tensor", Input::from(&floats)),
            ("a slice", Input::from(floats.data())),
            ("a Vec", Input::from(&values)),
            ("a buffer", Input::buffer(&on_device, count)),
        ] {
            let outputs = network.run(input)?;
            ensure(outputs.len() == expected.len(), format!("{what}: {} outputs", outputs.len()))?;
            for (name, tensor) in outputs.iter() {
                same(&format!("{what}, {name}"), &expected[name], tensor)?;
            }
        }
        // A sample divided by 255 on the device may round otherwise.
        let expected = network.run(&samples)?;
        for (name, tensor) in expected.iter() {
            let of_floats = &network.run(&floats)?[name];
            compare(of_floats, tensor, Tolerance::F32).map_err(|e| format!("samples, {name}: {e}"))?;
        }
        let there = network.run(Input::pixel_buffer(&samples_there, count))?;
        for (name, tensor) in expected.iter() {
            same(&format!("a buffer of samples, {name}"), tensor, &there[name])?;
        }
    }
    let (_, floats) = images(1);
    let one = floats.clone().reshape([1, 8, 8])?;
    same("an image without N", &network.run(&floats)?[0], &network.run(&one)?[0])?;
    let later = pollster::block_on(network.run_async(&floats))?;
    same("asynchronously", &network.run(&floats)?[0], &later[0])
}

/// Floats and samples may take turns; an error keeps its place.
fn many(machine: &Machine) -> Outcome {
    let network = network(machine, Options::default())?;
    let (samples, floats) = images(3);
    let short = [0u8; 7];
    let batches = [Input::from(&floats), Input::from(&samples), Input::from(&short), Input::from(floats.data())];
    let expected = [Some(network.run(&floats)?), Some(network.run(&samples)?), None, Some(network.run(&floats)?)];
    let found: Vec<_> = network.run_many(batches).collect();
    ensure(found.len() == 4, "an answer a batch")?;
    for (at, (expected, found)) in expected.iter().zip(found).enumerate() {
        match (expected, found) {
            (Some(expected), Ok(found)) => same(&format!("batch {at}"), &expected[0], &found[0])?,
            (None, Err(Error::Input { .. })) => {}
            (_, found) => return Err(format!("batch {at}: {found:?}").into()),
        }
    }
    Ok(())
}

/// Outputs have names and an order, for floats and samples alike.
fn outputs(machine: &Machine) -> Outcome {
    let plain = network(machine, Options::default())?;
    let gate = format!("gate.{}", se_block(&plain));
    let node = plain.graph().nodes()[1].name.clone();
    let options = Options::default().output(&gate).output("features").output(&node);
    let network = network(machine, options)?;
    let (samples, floats) = images(2);
    for input in [Input::from(&floats), Input::from(&samples)] {
        let outputs = network.run(input)?;
        let names: Vec<&str> = outputs.names().collect();
        ensure(names == ["logits", &gate, "features", &node], format!("{names:?}"))?;
        let se_block = network.graph().se_blocks().next().ok_or("it has SE blocks")?.shape.len();
        ensure(outputs[gate.as_str()].shape() == [2, se_block], format!("{:?}", outputs.get(&gate)))?;
        ensure(outputs.get("gate.nothing").is_none(), "no such output")?;
        let shape = network.graph().node(network.graph().find(&node).ok_or("the node")?).shape;
        ensure(outputs[3].shape() == shape.with_batch(2), "a node's value has its shape")?;
        ensure(outputs[1].data().iter().all(|x| (0.0..=1.0).contains(x)), "gates are in 0 to 1")?;
    }
    compare(&plain.run(&floats)?[0], &network.run(&floats)?[0], Tolerance::F32)?;
    Ok(())
}

/// Outputs that stay on the device, and those recorded into an encoder.
fn device(machine: &Machine) -> Outcome {
    let network = network(machine, Options::default().gates(true))?;
    let gpu = network.gpu();
    let (samples, floats) = images(3);
    let bytes: Vec<u8> = floats.data().iter().flat_map(|x| x.to_ne_bytes()).collect();
    let there = buffer(gpu, &bytes);
    for input in [Input::from(&floats), Input::from(&samples), Input::buffer(&there, 3)] {
        let expected = network.run(input.clone())?;
        let on_device = network.run_on_device(input)?;
        let (buffer, shape) = on_device.buffer("logits").ok_or("logits are on the device")?;
        ensure(shape == [3, 10] && buffer.size() == 120, format!("{shape:?} in {} bytes", buffer.size()))?;
        ensure(on_device.get("logits").is_none() && on_device.iter().next().is_none(), "nothing is on the host")?;
        ensure(on_device.clone().into_first().is_err(), "not before they are read")?;
        let read: Outputs = on_device.read()?;
        for (name, tensor) in expected.iter() {
            same(&format!("read, {name}"), tensor, &read[name])?;
        }
    }
    let expected = network.run(&floats)?;
    let gate = format!("gate.{}", se_block(&network));
    let make = |bytes: usize| buffer(gpu, &vec![0; bytes]);
    let (gates, short) = (make(4 * expected[gate.as_str()].data().len()), make(8));
    let logits = make(120);
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    network.encode(&mut encoder, Input::buffer(&there, 3), &[(&gate, &gates), ("logits", &logits)])?;
    gpu.queue().submit([encoder.finish()]);
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    for (wrong, part) in [
        (network.encode(&mut encoder, Input::buffer(&short, 3), &[]), "the input buffer needs 768 bytes"),
        (network.encode(&mut encoder, Input::buffer(&there, 3), &[("logits", &short)]), "the output buffer needs 120"),
        (
            network.encode(&mut encoder, Input::buffer(&there, 3), &[("zzz", &short)]),
            "has no output \"zzz\"; it has logits",
        ),
        (network.encode(&mut encoder, &floats, &[]), "only images on the device can be recorded"),
    ] {
        let error = wrong.err().map(|e| e.to_string()).unwrap_or_default();
        ensure(error.contains(part), format!("{error:?}, expected {part:?}"))?;
    }
    // What an answer is recorded into may be another network's input.
    let mut g = GraphBuilder::new("next");
    let x = g.input(Shape::vector(10))?;
    let x = g.linear("fc", x, Linear::new(1))?;
    let next = Model::new(g.finish(&[("y", x)])?, Weights::seeded(1, 1.0)).compile(gpu, Options::default())?;
    same("chained", &next.run(expected[0].data())?[0], &next.run(Input::buffer(&logits, 3))?[0])
}

/// The model without its classifier gives what the classifier reads.
fn features(machine: &Machine) -> Outcome {
    let model = Model::pretrained(NAME)?;
    let headless = model.features()?;
    let (samples, _) = images(2);
    let whole = model.compile(machine.gpu(true), Options::default().output("features"))?.run(&samples)?;
    let network = headless.compile(machine.gpu(true), Options::default())?;
    let found = network.run(&samples)?;
    ensure(found.names().eq(["features"]) && found[0].shape().len() == 2, format!("{found:?}"))?;
    compare(&whole["features"], &found[0], Tolerance::F32)?;
    let error = network.classify_many(&samples)?.remove(0).err().map(|e| e.to_string()).unwrap_or_default();
    ensure(error.contains("is no classifier: output \"features\""), error)?;
    // Another spelling of the same: the zoo's network without classes, given the weights that it has.
    let mut zoo = ModelOptions::default();
    zoo.classes = Some(0);
    let built = Model::zoo_with(NAME, &zoo)?;
    let built = built.with_weights(headless.weights().ok_or("it has weights")?.clone());
    same("classes: 0", &found[0], &built.compile(machine.gpu(true), Options::default())?.run(&samples)?[0])
}

fn classify(machine: &Machine) -> Outcome {
    let network = network(machine, Options::default().batch(2))?;
    let (samples, _) = images(2);
    let logits = network.run(&samples)?;
    let probabilities = logits[0].softmax();
    let classes = network.classify_many(&samples)?;
    for (image, classes) in classes.into_iter().enumerate() {
        let classes = classes?;
        ensure(classes.probabilities() == probabilities.image(image), "a softmax over the logits")?;
        let (best, top) = (classes.best(), classes.top(3));
        ensure(top.len() == 3 && top[0] == best && classes.top(99).len() == 10, "as many as asked for")?;
        ensure(top[0].probability >= top[1].probability && best.label == best.index.to_string(), format!("{best:?}"))?;
        same("alone", &logits_of(&network, &samples[64 * image..][..64])?, &row(&logits[0], image)?)?;
    }
    let error = network.classify(&samples).err().map(|e| e.to_string()).unwrap_or_default();
    ensure(error.contains("classify takes one image, is given 2"), error)
}

fn logits_of(network: &Network, samples: &[u8]) -> excite::Result<Tensor> {
    network.run(samples)?.into_first()
}

fn row(logits: &Tensor, image: usize) -> excite::Result<Tensor> {
    Tensor::new([1, 10], logits.image(image).to_vec())
}

/// Images of files and of the crate `image` are what the table of predictions says.
#[cfg(feature = "image")]
fn image_inputs(machine: &Machine) -> Outcome {
    let network = network(machine, Options::default())?;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits");
    for (digit, file) in [(3, "digit_3_2.png"), (0, "digit_0_24.png")] {
        let image = excite::image::open(folder.join(file))?;
        let class = network.classify(&image)?.best();
        ensure(class.label == digit.to_string(), format!("{class:?} for a {digit}"))?;
        let samples = image.samples().to_vec();
        let gray = image::GrayImage::from_raw(8, 8, samples.clone()).ok_or("64 samples")?;
        let expected = network.run(&samples)?;
        let dynamic = image::DynamicImage::from(gray.clone());
        for found in [network.run(&gray)?, network.run(&dynamic)?, network.run(&vec![image])?] {
            same("an image", &expected[0], &found[0])?;
        }
        let colour = dynamic.to_rgb8();
        same("colour that is gray", &expected[0], &network.run(&colour)?[0])?;
    }
    let empty = network.run(&image::GrayImage::new(0, 3)).err().map(|e| e.to_string()).unwrap_or_default();
    ensure(empty.contains("0x3 has no pixels"), empty)
}

/// A network that looks across the images of a batch takes the whole batch as its one input.
fn fixed_batch(machine: &Machine) -> Outcome {
    let mut g = GraphBuilder::new("whole");
    let x = g.input(Shape::tensor(&[2, 3]))?;
    let x = g.flatten("flat", x)?;
    let x = g.linear("fc", x, Linear::new(2))?;
    let model = Model::new(g.finish(&[("y", x)])?, Weights::seeded(1, 1.0));
    let network = model.compile(machine.gpu(true), Options::default())?;
    let batch = Tensor::from_fn([2, 3], |i| i as f32);
    same("two images", &network.run(&batch.clone().reshape([1, 2, 3])?)?[0], &network.run(&batch)?[0])
}

fn errors(machine: &Machine) -> Outcome {
    let fails = |what: &str, found: Result<(), Error>, kind: fn(&Error) -> bool, part: &str| match found {
        Err(error) if kind(&error) && error.to_string().contains(part) => Ok(()),
        other => Err(crate::Stop::from(format!("{what}: {other:?}, expected {part:?}"))),
    };
    let is_input: fn(&Error) -> bool =
        |error| matches!(error, Error::Input { shape, .. } if *shape == Shape::map(1, 8, 8));
    let network = network(machine, Options::default())?;
    let run = |input: Input<'_>| network.run(input).map(drop);
    let gpu = network.gpu();
    let wrong = Tensor::zeros([1, 3, 8, 8]);
    fails(
        "a shape",
        run(Input::from(&wrong)),
        is_input,
        "expects images [N, 1, 8, 8], N at least 1, is given [1, 3, 8, 8]",
    )?;
    fails(
        "values",
        run(Input::from(&[0f32; 65])),
        is_input,
        "expects images of 64 values each, at least 1, is given 65",
    )?;
    fails(
        "samples",
        run(Input::from(&[0u8; 0])),
        is_input,
        "expects images of 64 samples each, at least 1, is given 0",
    )?;
    fails("NaN", run(Input::from(&[f32::NAN; 64])), is_input, "expects finite values, has NaN at [0, 0, 0, 0]")?;
    fails("a buffer", run(Input::buffer(&buffer(gpu, &[0; 8]), 1)), is_input, "needs 256 bytes for batch 1, has 8")?;
    let usage = wgpu::BufferUsages::COPY_DST;
    let descriptor = wgpu::BufferDescriptor { label: None, size: 256, usage, mapped_at_creation: false };
    let unreadable = gpu.device().create_buffer(&descriptor);
    fails("its usage", run(Input::buffer(&unreadable, 1)), is_input, "needs usage COPY_SRC")?;
    let none = run(Input::buffer(&buffer(gpu, &[0; 8]), 0));
    fails("no image", none, |e| matches!(e, Error::Request(_)), "batch must be at least 1, is 0")?;

    let name = Model::pretrained("digits_seresnt").map(drop);
    let is_name: fn(&Error) -> bool =
        |error| matches!(error, Error::UnknownModel { near, .. } if near[0] == "digits_seresnet");
    fails("a name", name, is_name, "did you mean digits_seresnet")?;
    let tag = Model::zoo("seresnet50.a9_in1k").map(drop);
    fails(
        "a tag",
        tag,
        |e| matches!(e, Error::UnknownModel { near, .. } if near[0] == "seresnet50.a1_in1k"),
        "a9_in1k",
    )?;
    let bare = Model::zoo("seresnet18")?.compile(gpu, Options::default()).map(drop);
    fails("no weights", bare, |e| matches!(e, Error::Weights { .. }), "Model::with_weights")?;
    let other = Model::zoo(NAME)?.with_weights(Weights::from_tensors([("x".into(), Tensor::zeros([1]))]));
    let is_weights: fn(&Error) -> bool = |error| match error {
        Error::Weights { tensors, .. } => tensors.unexpected == ["x"] && tensors.missing.len() > 10,
        _ => false,
    };
    fails("weights", other.compile(gpu, Options::default()).map(drop), is_weights, "unexpected: x")?;
    let output = Model::pretrained(NAME)?.compile(gpu, Options::default().output("layer9")).map(drop);
    fails("an output", output, |e| matches!(e, Error::Graph { .. }), "has no node \"layer9\"")?;
    let mut g = GraphBuilder::new("own");
    let x = g.input(Shape::map(1, 8, 8))?;
    let x = g.global_avg_pool("pool", x)?;
    let own = Model::new(g.finish(&[("y", x)])?, Weights::seeded(1, 1.0)).with_labels(Labels::digits());
    let settings = Model::zoo("seresnet18")?.preprocess().ok_or("the zoo has settings")?.clone();
    fails(
        "settings",
        own.clone().with_preprocess(settings).map(drop),
        is_input,
        "images are prepared as 3x224x224, the network takes 1x8x8",
    )?;
    let own = own.compile(gpu, Options::default())?;
    fails("no settings", own.run(&[0u8; 64]).map(drop), is_input, "takes floats only: Model::with_preprocess")?;
    let lost = machine.open()?;
    let network = Model::pretrained(NAME)?.compile(&lost, Options::default())?;
    lost.device().destroy();
    fails("a lost device", network.run(&[0u8; 64]).map(drop), |e| matches!(e, Error::DeviceLost { .. }), "is lost")
}

/// The device without blocking, from a future that threads may send.
fn request(machine: &Machine) -> Outcome {
    fn sent<T: Send>(future: impl Future<Output = T> + Send) -> T {
        pollster::block_on(future)
    }
    let options = excite::GpuOptions::default().device(machine.description.index.to_string());
    let gpu = sent(Gpu::request_with(&options))?;
    let network = Arc::new(Model::pretrained(NAME)?.compile(&gpu, Options::default())?);
    let (samples, _) = images(1);
    let expected = network.run(&samples)?;
    let other = Arc::clone(&network);
    let found = std::thread::spawn(move || sent(other.run_async(&samples))).join().map_err(|_| "the thread")??;
    same("on another thread", &expected[0], &found[0])
}
