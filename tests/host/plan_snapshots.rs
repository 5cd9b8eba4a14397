//! No GPU: plans of many networks in full, byte by byte as they were when `tests/data/plans.br` was written. A change
//! that is meant is written there by `EXCITE_BLESS=1 cargo test --test host plan_snapshots`.

use crate::common::to_onnx::through_a_file;
use excite::import::onnx::{OnnxModel, OnnxOptions};
use excite::ops::{Act, SqueezeExcite};
use excite::plan::{Choice, Fusion, InputFormat, Normalize, PlanOptions, SeVariant};
use excite::plan::{Costs, Family, Limits, MatrixSize, Plan, Target};
use excite::tuning::Tuning;
use excite::{Graph, Precision, SeBlock, SeBlockOptions, SeLayout, Shape, zoo};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The texts by name.
type Snapshots = BTreeMap<String, String>;

const NETWORKS: [&str; 13] = [
    "digits_seresnet",
    "efficientnet_b0",
    "legacy_seresnext26_32x4d",
    "mobilenetv3_small_100",
    "regnety_002",
    "resnet50",
    "se_bninception",
    "se_shakeshake26_2x96d_cifar10",
    "se_shufflenet",
    "se_vgg16",
    "seresnet18",
    "seresnet50",
    "tf_efficientnetv2_b0",
];

/// Long ones, of which a few plans are kept.
const LONG: [&str; 3] = ["densenet121", "legacy_senet154", "se_preresnet164_cifar10"];

/// Networks that go through an ONNX file, their SE blocks in single ops.
const THROUGH_ONNX: [&str; 2] = ["se_shufflenet", "seresnet18"];

fn targets() -> [(&'static str, Target); 3] {
    [("discrete", Target::gpu()), ("integrated", Target::integrated()), ("software", Target::software())]
}

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

fn network(name: &str) -> Graph {
    zoo::build(name, &zoo::Options::default()).unwrap()
}

/// Adds a plan, or what the error says.
fn add(to: &mut Snapshots, name: String, plan: excite::Result<Plan>) {
    let text = plan.map_or_else(|error| format!("error: {error}\n"), |plan| plan.in_full());
    assert!(to.insert(name.clone(), text).is_none(), "two snapshots {name}");
}

/// Batches of 1, 2 and 8, in both precisions, for every class of adapter.
fn add_all(to: &mut Snapshots, name: &str, graph: &Graph) {
    for (class, target) in targets() {
        for (precision, batch) in Precision::ALL.into_iter().flat_map(|precision| [1, 2, 8].map(|n| (precision, n))) {
            let options = PlanOptions::default().precision(precision);
            add(to, format!("{name} {class} {precision} batch {batch}"), Plan::new(graph, batch, &target, &options));
        }
    }
}

/// A group of snapshots by itself, so that several are made at a time.
type Group = Box<dyn Fn(&mut Snapshots) + Send + Sync>;

fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for name in NETWORKS {
        groups.push(Box::new(move |to| add_all(to, name, &network(name))));
    }
    groups.push(Box::new(long));
    for name in THROUGH_ONNX {
        groups.push(Box::new(move |to| {
            let folder = tempfile::tempdir().unwrap();
            let model = through_a_file(&network(name), folder.path()).unwrap();
            add_all(to, &format!("onnx {name}"), &model.graph);
        }));
    }
    groups.push(Box::new(exported));
    groups.push(Box::new(fusions));
    groups.push(Box::new(matrices));
    groups.push(Box::new(options));
    groups.push(Box::new(forced));
    groups.push(Box::new(tuned));
    groups.push(Box::new(se_blocks));
    groups
}

fn long(to: &mut Snapshots) {
    for name in LONG {
        let graph = network(name);
        let [discrete, _, software] = targets();
        for ((class, target), precision, batch) in [
            (&discrete, Precision::F32, 1),
            (&discrete, Precision::F32, 8),
            (&discrete, Precision::F16, 2),
            (&software, Precision::F32, 1),
            (&software, Precision::F32, 8),
        ] {
            let options = PlanOptions::default().precision(precision);
            add(to, format!("{name} {class} {precision} batch {batch}"), Plan::new(&graph, batch, target, &options));
        }
    }
}

/// Files that PyTorch exported.
fn exported(to: &mut Snapshots) {
    for (name, size) in [
        ("dynamic_all_linear_se.dynamo.op20", Some([64, 64])),
        ("neg_mobilenetv3_head.dynamo.op18", None),
        ("timm_se_resnet.torchscript.op17", None),
    ] {
        let options = OnnxOptions::default().size(size);
        let model = OnnxModel::from_onnx_with(file(&format!("onnx/{name}.onnx")), &options).unwrap();
        add_all(to, &format!("onnx {name}"), &model.graph);
    }
}

/// Less than full fusion.
fn fusions(to: &mut Snapshots) {
    for name in ["efficientnet_b0", "seresnet50"] {
        let graph = network(name);
        for fusion in [Fusion::None, Fusion::Kernels] {
            let [discrete, integrated, software] = targets();
            for ((class, target), precision) in [
                (&discrete, Precision::F32),
                (&discrete, Precision::F16),
                (&integrated, Precision::F32),
                (&software, Precision::F32),
            ] {
                let options = PlanOptions::default().fusion(fusion).precision(precision);
                let plan = Plan::new(&graph, 2, target, &options);
                add(to, format!("{name} fusion {fusion} {class} {precision} batch 2"), plan);
            }
        }
    }
}

/// Adapters with cooperative matrices.
fn matrices(to: &mut Snapshots) {
    for name in ["efficientnet_b0", "seresnet50"] {
        let graph = network(name);
        for size in MatrixSize::ALL {
            for batch in [1, 8] {
                let target = Target::gpu().cooperative(size);
                let options = PlanOptions::default().precision(Precision::F16);
                let plan = Plan::new(&graph, batch, &target, &options);
                add(to, format!("{name} matrices of {size} f16 batch {batch}"), plan);
            }
        }
    }
}

/// Forced families and variants, pixels, gates as outputs, small limits, large ones.
fn options(to: &mut Snapshots) {
    let normalize = Normalize { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
    let plain = PlanOptions::default;
    let se = |variant| plain().se(variant);
    let all = [
        ("family tiled", plain().family(Family::Tiled)),
        ("family direct", plain().family(Family::Direct)),
        ("no subgroups", plain().subgroups(false)),
        ("se spread", se(SeVariant::Spread)),
        ("se excite", se(SeVariant::Excite)),
        ("se block", se(SeVariant::Block)),
        ("pixels", plain().input(InputFormat::Pixels(normalize))),
    ];
    for name in ["efficientnet_b0", "seresnet18"] {
        let graph = network(name);
        let gated = graph.clone().with_gate_outputs();
        let every = graph.clone().with_every_output();
        let [discrete, _, software] = targets();
        for (class, target) in [discrete, software] {
            for (what, options) in &all {
                add(to, format!("{name} {what} {class} batch 2"), Plan::new(&graph, 2, &target, options));
            }
            add(to, format!("{name} gates {class} batch 2"), Plan::new(&gated, 2, &target, &plain()));
            add(to, format!("{name} every output {class} batch 2"), Plan::new(&every, 2, &target, &plain()));
        }
        let large = Limits::default().max_buffer_size(1 << 31).max_storage_buffer_binding_size(1 << 31);
        let small = Limits::default().max_compute_workgroups_per_dimension(100);
        for (what, limits, batch) in [("large bindings", large, 32), ("few workgroups", small, 2)] {
            let target = Target::gpu().limits(limits);
            add(to, format!("{name} {what} batch {batch}"), Plan::new(&graph, batch, &target, &plain()));
        }
        // Prices that choose otherwise.
        let costs = Costs { dispatch: 0.1, ..Costs::DISCRETE };
        let target = Target::gpu().costs(costs).subgroups(false).half(false);
        add(to, format!("{name} cheap dispatches batch 2"), Plan::new(&graph, 2, &target, &plain()));
    }
}

fn shipped() -> PathBuf {
    file("../../assets/tuning/tuning-vulkan-10005-0000-f32-5731e1f7b9c4fc62.json")
}

/// Each choice for all convolutions that can take it.
fn forced(to: &mut Snapshots) {
    let [discrete, _, software] = targets();
    for (name, (class, target)) in [("legacy_seresnext26_32x4d", discrete), ("mobilenetv3_small_100", software)] {
        let graph = network(name);
        let plain = Plan::new(&graph, 1, &target, &PlanOptions::default()).unwrap();
        for choice in Choice::ALL {
            let mut tuning = Tuning::load(shipped()).unwrap();
            for (shape, before, candidates) in plain.choices() {
                tuning.set(&shape, if candidates.contains(&choice) { choice } else { before });
            }
            let options = PlanOptions::default().tuning(Arc::new(tuning));
            add(to, format!("{name} all {choice} {class} batch 1"), Plan::new(&graph, 1, &target, &options));
        }
    }
}

/// The tuning that ships for a software adapter.
fn tuned(to: &mut Snapshots) {
    let tuning = Arc::new(Tuning::load(shipped()).unwrap());
    for name in ["efficientnet_b0", "resnet50", "seresnet50"] {
        let graph = network(name);
        for batch in [1, 8] {
            let options = PlanOptions::default().tuning(Arc::clone(&tuning));
            add(to, format!("{name} tuned batch {batch}"), Plan::new(&graph, batch, &Target::software(), &options));
        }
    }
}

/// The SE block on its own.
fn se_blocks(to: &mut Snapshots) {
    for (class, target) in targets() {
        for shape in [Shape::map(256, 56, 56), Shape::map(2048, 7, 7), Shape::map(19, 5, 5)] {
            for layout in [SeLayout::Nchw, SeLayout::Nhwc] {
                for (variant, batch) in
                    [None, Some(SeVariant::Spread), Some(SeVariant::Block)].into_iter().zip([1, 8, 2])
                {
                    for (residual, act) in [(false, Act::Identity), (true, Act::Relu)] {
                        let reduced = shape.channels().div_ceil(16);
                        let options = SeBlockOptions::new(SqueezeExcite::new(reduced), layout)
                            .variant(variant)
                            .residual(residual)
                            .act(act);
                        let asked = variant.map_or("any variant".into(), |variant| format!("{variant:?}"));
                        let name =
                            format!("block {shape} {layout:?} {asked} residual {residual} {class} batch {batch}");
                        add(to, name, SeBlock::plan(&options, shape, batch, &target));
                    }
                }
            }
        }
    }
}

/// All texts as they are now.
fn planned() -> Snapshots {
    let (groups, next, all) = (groups(), AtomicUsize::new(0), Mutex::new(Snapshots::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from).min(8) {
            scope.spawn(|| {
                while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut snapshots = Snapshots::new();
                    group(&mut snapshots);
                    all.lock().unwrap().append(&mut snapshots);
                }
            });
        }
    });
    all.into_inner().unwrap()
}

/// Begins the line of a snapshot's name; no line of a plan does.
const NAME: &str = "== ";

/// The texts, one behind the other, each after its name.
fn joined(snapshots: &Snapshots) -> String {
    snapshots.iter().map(|(name, text)| format!("{NAME}{name}\n{text}")).collect()
}

fn parted(text: &str) -> Snapshots {
    let mut snapshots = Snapshots::new();
    let mut name = "";
    for line in text.split_inclusive('\n') {
        match line.strip_prefix(NAME) {
            Some(begun) => name = begun.trim_end(),
            None => *snapshots.entry(name.into()).or_default() += line,
        }
    }
    snapshots
}

fn write_archive(path: &Path, snapshots: &Snapshots) -> std::io::Result<()> {
    let (quality, window) = (9, 24);
    let mut to = brotli::CompressorWriter::new(std::fs::File::create(path)?, 1 << 16, quality, window);
    to.write_all(joined(snapshots).as_bytes())?;
    to.flush()
}

fn read_archive(path: &Path) -> std::io::Result<Snapshots> {
    let mut text = String::new();
    brotli::Decompressor::new(std::fs::File::open(path)?, 1 << 16).read_to_string(&mut text)?;
    Ok(parted(&text))
}

/// Where two texts part: a few lines before, then a few of either.
fn difference(expected: &str, found: &str) -> String {
    let [expected, found]: [Vec<&str>; 2] = [expected, found].map(|text| text.lines().collect());
    let at = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let start = expected[..at].iter().rposition(|line| line.starts_with("step ")).unwrap_or(at.saturating_sub(3));
    let mut text = format!("  line {} of {} before, {} now\n", at + 1, expected.len(), found.len());
    let same = expected[start..at].iter().map(|line| format!("    {line}\n"));
    let those = |lines: &[&str], sign: char| -> String {
        lines[at.min(lines.len())..].iter().take(6).map(|line| format!("  {sign} {line}\n")).collect()
    };
    text.extend(same);
    text + &those(&expected, '-') + &those(&found, '+')
}

/// What is said of snapshots that changed, at length of the first few; nothing where none did.
fn differences(expected: &Snapshots, found: &Snapshots) -> String {
    const SHOWN: usize = 4;
    let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let changed: Vec<&String> = names.into_iter().filter(|&name| expected.get(name) != found.get(name)).collect();
    let mut text = String::new();
    for (index, &name) in changed.iter().enumerate() {
        text += &match (expected.get(name), found.get(name)) {
            (Some(_), None) => format!("{name}: is gone\n"),
            (None, _) => format!("{name}: is new\n"),
            (Some(before), Some(now)) if index < SHOWN => format!("{name}:\n{}", difference(before, now)),
            _ => format!("{name}: differs\n"),
        };
    }
    text
}

#[test]
fn plans_are_as_they_were() {
    let (path, found) = (file("plans.br"), planned());
    if std::env::var_os("EXCITE_BLESS").is_some_and(|value| value == "1") {
        write_archive(&path, &found).unwrap();
    }
    let expected = read_archive(&path).unwrap();
    let text = differences(&expected, &found);
    if !text.is_empty() {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(folder.join("plans.expected.txt"), joined(&expected)).unwrap();
        std::fs::write(folder.join("plans.found.txt"), joined(&found)).unwrap();
        panic!(
            "{text}plans.expected.txt and plans.found.txt in {} have all; EXCITE_BLESS=1 keeps them",
            folder.display()
        );
    }
    assert!(expected.len() > 400, "{} snapshots", expected.len());
}

#[test]
fn a_difference_is_shown_where_it_is() {
    let text = |bytes: u32, more: &str| format!("plan net\nstep conv\n macs 7 bytes {bytes}\nbuffer 0 8\n{more}");
    let all = |texts: [(&str, String); 2]| Snapshots::from(texts.map(|(name, text)| (name.to_string(), text)));
    let before = all([("a", text(1, "")), ("b", text(1, ""))]);
    assert_eq!(differences(&before, &before), "");
    assert_eq!(parted(&joined(&before)), before);
    let now = all([("b", text(2, "buffer 1 8\n")), ("c", text(1, ""))]);
    let expected = "a: is gone\nb:\n  line 3 of 4 before, 5 now\n    step conv\n  -  macs 7 bytes 1\n  - buffer 0 8\n  \
                    +  macs 7 bytes 2\n  + buffer 0 8\n  + buffer 1 8\nc: is new\n";
    assert_eq!(differences(&before, &now), expected);
}
