//! Every shader, without a GPU: files, headers and declarations agree, and each override set that a plan chooses passes
//! naga and its translators to SPIR-V, MSL, HLSL and GLSL.
//!
//! naga doesn't check that barriers are in uniform control flow; browsers do, and `make shaders-foreign`.

mod foreign;

use excite::graph::Value;
use excite::kernels::{AXES, Access, LIB, MatrixSize, SHADERS, Shader, Variant};
use excite::ops::{
    Act, Add, Arithmetic, BatchNorm, ChannelShuffle, Concat, Constant, Conv2d, GlobalPool, Linear, MatMul, Mul, Op,
    Padding, Permute, Pool, PoolKind, Reduce, Reduction, Resample, Reshape, Scale, Softmax, SqueezeExcite, Unary,
};
use excite::plan::{Choice, Fusion, InputFormat, Normalize};
use excite::plan::{Family, Plan, PlanOptions, SeVariant, Target};
use excite::tuning::Tuning;
use excite::{Graph, GraphBuilder, Precision, Shape, zoo};
use naga::back::pipeline_constants::{PipelineConstantError, process_overrides};
use naga::back::{glsl, hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy, Layouter};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, Scalar, ShaderStage, StorageAccess, TypeInner};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// What every WebGPU adapter gives a workgroup, and a shader.
const WORKGROUP_BYTES: u32 = 16 << 10;
const INVOCATIONS: u32 = 256;
/// What adapters with cooperative matrices give a workgroup: others are taken to have none.
const MATRICES_BYTES: u32 = 32 << 10;
const STORAGE_BUFFERS: usize = 8;

type Overrides = Vec<(&'static str, f64)>;

/// Shaders that no plan of a graph reaches, with the override sets that the stand-alone SE block chooses: its maps may
/// lie as networks have none inside.
fn stand_alone() -> [(&'static str, Vec<Overrides>); 4] {
    let squeeze = |kind| vec![("WORKGROUP", 64.0), ("KIND", kind)];
    let scale = |act| {
        [0.0, 1.0].map(|residual| vec![("WORKGROUP", 64.0), ("RESIDUAL", residual), ("ACT", act), ("ACT_A", 0.01)])
    };
    let dense = |[planes, rows]: [f64; 2], kind| {
        vec![("VEC4S", planes), ("ROWS", rows), ("WORKGROUP", planes * rows), ("KIND", kind)]
    };
    let dense = [[16.0, 1.0], [4.0, 16.0], [1.0, 64.0]]
        .into_iter()
        .flat_map(|shape| [0.0, 1.0, 2.0].map(|kind| dense(shape, kind)));
    let scales = || (0..Act::ALL.len()).flat_map(|act| scale(act as f64)).collect();
    [
        ("squeeze_excite/squeeze_dense", dense.collect()),
        ("squeeze_excite/scale_dense", scales()),
        ("squeeze_excite/squeeze_strided", [0.0, 1.0, 2.0].map(squeeze).into()),
        ("squeeze_excite/scale_strided", scales()),
    ]
}

#[test]
fn files_and_declarations_are_the_same() {
    let declared: Vec<String> = SHADERS.iter().map(|shader| shader.name.to_string()).collect();
    let lib = LIB.iter().map(|(name, _)| format!("lib/{name}"));
    let axes =
        AXES.iter().flat_map(|axis| axis.values.iter().map(move |(name, _)| format!("axis/{}/{name}", axis.name)));
    let expected: BTreeSet<String> = declared.iter().cloned().chain(lib).chain(axes).collect();
    assert_eq!(
        wgsl_files(),
        expected,
        "files below shaders/, and what src/kernels/ declares, shares and has as values of axes"
    );
    assert_eq!(declared.iter().collect::<BTreeSet<_>>().len(), declared.len(), "one is declared twice: {declared:?}");
}

/// What is imported by name is imported somewhere, and nothing is imported twice or missing.
#[test]
fn imports_are_of_files_that_are_there() {
    let mut imported = BTreeSet::new();
    for shader in SHADERS {
        let mut own = BTreeSet::new();
        for import in shader.imports() {
            assert!(own.insert(import), "{} imports {import} twice", shader.name);
        }
        imported.extend(own);
    }
    let lib = LIB.iter().map(|(name, _)| format!("lib/{name}"));
    let known: BTreeSet<String> = lib.chain(AXES.iter().map(|axis| format!("axis/{}", axis.name))).collect();
    assert_eq!(imported.into_iter().map(String::from).collect::<BTreeSet<_>>(), known);
}

#[test]
fn headers_name_the_host_file() {
    for shader in SHADERS {
        let mut header = shader.text.lines().take_while(|line| line.starts_with("//"));
        let host = header.find_map(|line| Some(line.split_once("Host `")?.1.split_once('`')?.0));
        let host = host.unwrap_or_else(|| panic!("{}: the header has no Host `src/kernels/…`", shader.name));
        let text = fs::read_to_string(root().join(host));
        let text = text.unwrap_or_else(|error| panic!("{}: its host {host}: {error}", shader.name));
        assert!(text.contains(&format!("{:?}", shader.name)), "{}: {host} does not declare it", shader.name);
    }
}

#[test]
fn shaders_are_as_declared() {
    let check = |shader: &Shader, variant| {
        let (module, _) = parse(shader, variant)?;
        let entries: Vec<&str> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
        expect("entry points", entries, vec!["main"])?;
        let declared = shader.bindings(variant);
        let storage = declared.iter().filter(|(_, access, _)| *access != Access::Uniform).count();
        let declared = declared.into_iter().map(|(i, access, name)| (0, i, Some(access), name.to_string()));
        expect("bindings", bindings(&module), declared.collect())?;
        expect("more storage buffers than every adapter has", storage > STORAGE_BUFFERS, false)?;
        expect(
            "the axis `storage` is imported where a binding is declared to lie so",
            shader.has_axis("storage"),
            !shader.halves.is_empty(),
        )?;
        let half = shader.bindings(variant).into_iter().map(|(.., name)| name.to_string());
        let half = half.filter(|name| shader.is_half(variant, name)).collect();
        expect("bindings in half precision", halves(&module), half)?;
        let overrides = module.overrides.iter().filter_map(|(_, o)| Some((o.name.as_deref()?, o.id))).collect();
        let declared: BTreeSet<_> = shader.overrides.iter().map(|name| (*name, None)).collect();
        expect("number of declared overrides", shader.overrides.len(), declared.len())?;
        expect("overrides and their @id", overrides, declared)?;
        let declared = shader.params.iter().map(|(name, ty, at)| (name.to_string(), ty.to_string(), *at as u32));
        expect("fields of Params", params(&module), declared.collect())
    };
    let variants =
        SHADERS.iter().flat_map(|shader| shader.variants().into_iter().map(move |variant| (shader, variant)));
    report(variants.map(|(shader, variant)| (label(shader, variant), check(shader, variant))));
}

#[test]
fn planned_pipelines_translate_everywhere() {
    let mut parsed = BTreeMap::new();
    let mut pipelines = planned();
    for (name, sets) in stand_alone() {
        let shader = SHADERS.iter().find(|shader| shader.name == name).expect("stand_alone names declared shaders");
        let variants =
            sets.iter().flat_map(|set| shader.variants().into_iter().map(move |variant| (variant, set.clone())));
        pipelines.extend(variants.map(|(variant, overrides)| Pipeline::named(shader, variant, overrides)));
    }
    report(pipelines.into_iter().map(|(label, pipeline)| {
        let key = (pipeline.shader.name, pipeline.variant);
        let module = parsed.entry(key).or_insert_with(|| parse(pipeline.shader, pipeline.variant));
        (label, module.as_ref().map_err(String::clone).and_then(|module| pipeline.check(module)))
    }));
}

#[test]
fn every_shader_is_planned_or_stand_alone() {
    let pipelines = planned();
    let undeclared = pipelines.values().filter(|pipeline| !pipeline.shader.variants().contains(&pipeline.variant));
    let undeclared: BTreeSet<String> = undeclared.map(|pipeline| label(pipeline.shader, pipeline.variant)).collect();
    assert!(undeclared.is_empty(), "variants of plans that shaders don't say they have: {undeclared:?}");
    let planned: BTreeSet<&str> = pipelines.values().map(|pipeline| pipeline.shader.name).collect();
    let all: BTreeSet<&str> = SHADERS.iter().map(|shader| shader.name).collect();
    let alone = stand_alone().map(|(name, _)| name);
    assert_eq!(&all - &planned, alone.into(), "shaders that no plan reaches, and the list of them in this file");
}

/// A shader with values for its overrides.
struct Pipeline {
    shader: &'static Shader,
    variant: Variant,
    overrides: Overrides,
}

/// Pipelines by what failures call them.
type Pipelines = BTreeMap<String, Pipeline>;

impl Pipeline {
    fn named(shader: &'static Shader, variant: Variant, overrides: Overrides) -> (String, Self) {
        (format!("{} {overrides:?}", label(shader, variant)), Self { shader, variant, overrides })
    }

    /// Resolves the overrides, then validates, measures and translates.
    fn check(&self, (module, info): &(Module, ModuleInfo)) -> Result<(), String> {
        let source = self.shader.source(self.variant);
        let constants = self.overrides.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        let resolved = process_overrides(module, info, Some((ShaderStage::Compute, "main")), &constants);
        let (module, _) = match resolved {
            Err(PipelineConstantError::ValidationError(error)) => {
                return Err(error.emit_to_string(&source));
            }
            resolved => labelled("overrides", resolved)?,
        };
        let info = validator(self.variant).validate_resolved_overrides(&module);
        let info = info.map_err(|error| error.emit_to_string(&source))?;
        let invocations: u32 = module.entry_points[0].workgroup_size.iter().product();
        expect(&format!("{invocations} invocations fit"), (1..=INVOCATIONS).contains(&invocations), true)?;
        let bytes = workgroup_bytes(&module);
        let most = if self.variant.matrices().is_some() { MATRICES_BYTES } else { WORKGROUP_BYTES };
        expect(&format!("{bytes} bytes of workgroup memory fit"), bytes <= most, true)?;
        translate(&module, &info, self.variant)
    }
}

/// All checks that wgpu asks for.
const CHECKED: BoundsCheckPolicies = BoundsCheckPolicies {
    index: BoundsCheckPolicy::Restrict,
    buffer: BoundsCheckPolicy::Restrict,
    image_load: BoundsCheckPolicy::Unchecked,
    binding_array: BoundsCheckPolicy::Unchecked,
};

/// To all that wgpu's backends take.
fn translate(module: &Module, info: &ModuleInfo, variant: Variant) -> Result<(), String> {
    let (shader_stage, main) = (ShaderStage::Compute, || "main".to_string());

    let options = spv::Options { lang_version: (1, 3), bounds_check_policies: CHECKED, ..Default::default() };
    let entry = spv::PipelineOptions { shader_stage, entry_point: main() };
    labelled("SPIR-V", spv::write_vec(module, info, &options, Some(&entry)))?;

    let options = msl::Options { lang_version: (2, 4), bounds_check_policies: CHECKED, ..Default::default() };
    let (_, written) = labelled("MSL", msl::write_string(module, info, &options, &Default::default()))?;
    written.entry_point_names.into_iter().try_for_each(|name| labelled("MSL", name).map(drop))?;

    // The other translators have no cooperative matrices.
    if variant.matrices().is_some() {
        return Ok(());
    }
    let shader_model = if variant.half() { hlsl::ShaderModel::V6_2 } else { hlsl::ShaderModel::V6_0 };
    let options = hlsl::Options { shader_model, ..Default::default() };
    let (mut text, entry) = (String::new(), hlsl::PipelineOptions::default());
    let written = labelled("HLSL", hlsl::Writer::new(&mut text, &options, &entry).write(module, info, None))?;
    written.entry_point_names.into_iter().try_for_each(|name| labelled("HLSL", name).map(drop))?;

    // Adapters behind GLSL have neither subgroups nor half precision, nor integers of 64 bits.
    if variant.subgroups() || variant.half() || variant.wide() {
        return Ok(());
    }
    let options = glsl::Options { version: glsl::Version::new_gles(310), ..Default::default() };
    let entry = glsl::PipelineOptions { shader_stage, entry_point: main(), multiview: None };
    let writer = glsl::Writer::new(&mut text, module, info, &options, &entry, BoundsCheckPolicies::default());
    labelled("GLSL", writer.and_then(|mut writer| writer.write())).map(drop)
}

/// Parses and validates one variant of a shader.
fn parse(shader: &Shader, variant: Variant) -> Result<(Module, ModuleInfo), String> {
    let source = shader.source(variant);
    let module = naga::front::wgsl::parse_str(&source).map_err(|error| error.emit_to_string(&source))?;
    let info = validator(variant).validate(&module).map_err(|error| error.emit_to_string(&source))?;
    Ok((module, info))
}

/// Allows what every adapter has, and subgroups, integers of 64 bits, half precision and cooperative matrices in the
/// variants that use them.
fn validator(variant: Variant) -> Validator {
    let mut capabilities = Capabilities::empty();
    capabilities.set(Capabilities::SUBGROUP, variant.subgroups() || variant.matrices().is_some());
    capabilities.set(Capabilities::COOPERATIVE_MATRIX, variant.matrices().is_some());
    capabilities.set(Capabilities::SHADER_INT64, variant.wide());
    capabilities.set(Capabilities::SHADER_FLOAT16, variant.half());
    capabilities.set(Capabilities::SHADER_FLOAT16_IN_FLOAT32, variant.half());
    Validator::new(ValidationFlags::all(), capabilities)
}

/// Names of the storage bindings whose numbers have 16 bits, be it four of them in one of 64.
fn halves(module: &Module) -> BTreeSet<String> {
    let storage = module.global_variables.iter().filter(|(_, v)| matches!(v.space, AddressSpace::Storage { .. }));
    let half = |ty: naga::Handle<naga::Type>| match module.types[ty].inner {
        TypeInner::Array { base, .. } => match module.types[base].inner {
            TypeInner::Scalar(scalar) => scalar == Scalar::F16 || scalar == Scalar::U64,
            TypeInner::Vector { scalar, .. } => scalar == Scalar::F16,
            _ => false,
        },
        _ => false,
    };
    storage.filter(|(_, v)| half(v.ty)).filter_map(|(_, v)| v.name.clone()).collect()
}

/// Group, binding, access and name of every resource, in the order of their numbers.
fn bindings(module: &Module) -> Vec<(u32, u32, Option<Access>, String)> {
    let resources = module.global_variables.iter().filter_map(|(_, variable)| {
        let access = match variable.space {
            AddressSpace::Uniform => Some(Access::Uniform),
            AddressSpace::Storage { access: StorageAccess::LOAD } => Some(Access::Read),
            AddressSpace::Storage { access } if access == StorageAccess::LOAD | StorageAccess::STORE => {
                Some(Access::Write)
            }
            _ => None,
        };
        let at = variable.binding?;
        Some((at.group, at.binding, access, variable.name.clone()?))
    });
    let mut resources: Vec<_> = resources.collect();
    resources.sort_by_key(|&(group, binding, ..)| (group, binding));
    resources
}

/// Name, Rust type and offset of every field of the uniform `Params`.
fn params(module: &Module) -> Vec<(String, String, u32)> {
    let uniform = module.global_variables.iter().find(|(_, variable)| variable.space == AddressSpace::Uniform);
    let ty = uniform.map(|(_, variable)| &module.types[variable.ty]).filter(|ty| ty.name.as_deref() == Some("Params"));
    let Some(TypeInner::Struct { members, .. }) = ty.map(|ty| &ty.inner) else { return Vec::new() };
    let vec4 = TypeInner::Vector { size: naga::VectorSize::Quad, scalar: Scalar::U32 };
    let name = |inner: &TypeInner| match *inner {
        TypeInner::Scalar(Scalar::U32) => "u32".into(),
        TypeInner::Scalar(Scalar::I32) => "i32".into(),
        TypeInner::Scalar(Scalar::F32) => "f32".into(),
        TypeInner::Array { base, size: naga::ArraySize::Constant(size), .. } if module.types[base].inner == vec4 => {
            format!("[[u32; 4]; {size}]")
        }
        ref other => format!("{other:?}"),
    };
    let field = |member: &naga::StructMember| {
        (member.name.clone().unwrap_or_default(), name(&module.types[member.ty].inner), member.offset)
    };
    members.iter().map(field).collect()
}

/// Workgroup memory as WebGPU counts it: every variable rounded up to 16 bytes.
fn workgroup_bytes(module: &Module) -> u32 {
    let mut layouts = Layouter::default();
    layouts.update(module.to_ctx()).expect("a valid module has layouts");
    let variables = module.global_variables.iter().filter(|(_, variable)| variable.space == AddressSpace::WorkGroup);
    variables.map(|(_, variable)| layouts[variable.ty].size.next_multiple_of(16)).sum()
}

/// Pipelines of all plans: of the graphs below however planning is told to choose, of the networks as users plan them.
fn planned() -> Pipelines {
    let mut choices = Vec::new();
    for family in [None, Some(Family::Direct), Some(Family::Tiled)] {
        for se in [None, Some(SeVariant::Spread), Some(SeVariant::Excite), Some(SeVariant::Block)] {
            choices.extend(
                [None, Some(false)].map(|subgroups| PlanOptions::default().family(family).subgroups(subgroups).se(se)),
            );
        }
    }
    for family in [None, Some(Family::Direct), Some(Family::Tiled)] {
        let half = PlanOptions::default().family(family).precision(Precision::F16);
        choices.extend([half.clone().se(SeVariant::Block), half]);
    }
    let networks = zoo::entries().into_iter().map(|entry| zoo::build(entry.name, &Default::default()));
    let networks = networks.map(|graph| (graph.expect("entries build"), 1, vec![PlanOptions::default()]));
    let pixels = InputFormat::Pixels(Normalize { mean: [0.5; 3], std: [0.5; 3] });
    let pixels = PlanOptions::default().input(pixels);
    let pixels = vec![pixels.clone().precision(Precision::F16), pixels];
    let of_pixels = (zoo::build("digits_seresnet", &Default::default()).expect("it builds"), 1, pixels);
    let graphs = graphs().into_iter().map(|(graph, batch)| (graph, batch, choices.clone()));
    let mut found = Pipelines::new();
    for (graph, batch, choices) in graphs.chain(networks).chain([of_pixels]) {
        for (fusion, options) in Fusion::ALL.into_iter().flat_map(|fusion| choices.iter().map(move |o| (fusion, o))) {
            let cooperative = MatrixSize::ALL.map(|size| Target::gpu().cooperative(size));
            let cooperative = cooperative.into_iter().filter(|_| options.precision == Precision::F16);
            for target in [Target::gpu(), Target::software()].into_iter().chain(cooperative) {
                let options = options.clone().fusion(fusion);
                let plan = match Plan::new(&graph, batch, &target, &options) {
                    // A variant that the sizes don't allow is refused where it is forced.
                    Err(excite::Error::Limit { .. }) if options.se.is_some() => continue,
                    plan => plan.unwrap_or_else(|error| panic!("{}, {options:?}: {error}", graph.name())),
                };
                found.extend(plan.steps.into_iter().map(|s| Pipeline::named(s.shader, s.variant, s.overrides)));
            }
        }
    }
    found.extend(tuned());
    found
}

/// What tuning may choose for the convolutions of a few networks: each choice wherever it is one.
fn tuned() -> Pipelines {
    let graphs = ["seresnet50", "seresnext50_32x4d", "efficientnet_b0", "inception_v3"];
    let graphs = graphs.map(|name| zoo::build(name, &Default::default()).expect("a network of the zoo"));
    let mut found = Pipelines::new();
    for (graph, precision) in graphs.iter().flat_map(|graph| Precision::ALL.map(|precision| (graph, precision))) {
        let cooperative = MatrixSize::ALL.map(|size| Target::gpu().cooperative(size));
        let cooperative = cooperative.into_iter().filter(|_| precision == Precision::F16);
        for target in std::iter::once(Target::gpu()).chain(cooperative) {
            let plan = |tuning| {
                let options = PlanOptions::default().precision(precision).tuning(tuning);
                Plan::new(graph, 1, &target, &options).unwrap_or_else(|error| panic!("{}: {error}", graph.name()))
            };
            let plain = plan(None);
            for choice in Choice::ALL {
                let able = plain.choices().filter(|(.., candidates)| candidates.contains(&choice));
                let steps = plan(Some(tuning(precision, &target, choice, able.map(|(key, ..)| key)))).steps;
                found.extend(steps.into_iter().map(|step| Pipeline::named(step.shader, step.variant, step.overrides)));
            }
        }
    }
    found
}

/// A tuning of no adapter that has a choice for these shapes, by way of a file.
fn tuning(precision: Precision, target: &Target, choice: Choice, shapes: impl Iterator<Item = String>) -> Arc<Tuning> {
    let adapter = ["backend", "vendor", "device", "name", "driver", "driver_info"].map(|name| (name, json!("")));
    let found = json!({ "choice": choice.to_string(), "untuned": choice.to_string(), "milliseconds": {}, "once": [] });
    let document = json!({
        "version": 2,
        "adapter": adapter.into_iter().collect::<BTreeMap<_, _>>(),
        "precision": precision.to_string(),
        "cooperative": target.cooperative.filter(|_| precision == Precision::F16).map(|size| size.to_string()),
        "shapes": shapes.map(|key| (key, found.clone())).collect::<BTreeMap<_, _>>(),
        "left": [],
    });
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    fs::write(&file, document.to_string()).expect("it can be written");
    Arc::new(Tuning::load(file.path()).unwrap_or_else(|error| panic!("{error}")))
}

/// Graphs and batches that together reach what plans can choose.
fn graphs() -> Vec<(Graph, usize)> {
    let network = zoo::build("seresnet50", &Default::default()).expect("a network of the zoo");
    vec![
        (operations(60, 14), 1),
        (operations(15, 7), 3),
        (operations(1, 5), 2),
        (tensors([3, 9, 15]), 2),
        (squeeze_excites(8, 3, 4), 128),
        (squeeze_excites(37, 5, 9), 1),
        (squeeze_excites(512, 32, 28), 1),
        // Layers that fill the workgroup memory, and that are too wide for it.
        (squeeze_excites(3064, 8, 1), 1),
        (squeeze_excites(4092, 4, 1), 1),
        // Enough pixels for the large tiles.
        (network, 16),
    ]
}

/// A graph in the making: nodes name themselves, and what nothing reads is an output.
struct Sketch {
    builder: GraphBuilder,
    unread: BTreeMap<String, Value>,
    nodes: usize,
}

impl Sketch {
    fn new(name: &str, channels: usize, side: usize) -> (Self, Value) {
        let mut builder = GraphBuilder::new(name);
        let x = builder.input(Shape::map(channels, side, side)).expect("the first input");
        (Self { builder, unread: BTreeMap::new(), nodes: 0 }, x)
    }

    fn add(&mut self, op: Op, inputs: &[Value]) -> Value {
        self.nodes += 1;
        let name = format!("node{}", self.nodes);
        let value = self.builder.add(&name, op, inputs).unwrap_or_else(|error| panic!("{error}"));
        self.unread.retain(|_, value| !inputs.contains(value));
        self.unread.insert(name, value);
        value
    }

    fn finish(self) -> Graph {
        let outputs: Vec<_> = self.unread.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        self.builder.finish(&outputs).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Every op, with every activation in or behind those that take one.
fn operations(channels: usize, side: usize) -> Graph {
    let (mut g, x) = Sketch::new("operations", channels, side);
    let conv = |kernel| Conv2d::new(channels, kernel).padding(kernel / 2);
    let mut convs = vec![conv(1), Conv2d::new(channels + 1, 1).bias(false), conv(3), conv(3).stride(2)];
    convs.extend([conv(3).padding(2).dilation(2), conv(3).groups(channels), conv(5).groups(channels).stride(2)]);
    let per_group = [3, 4, 5].into_iter().filter(|size| channels.is_multiple_of(*size));
    convs.extend(per_group.map(|size| conv(3).groups(channels / size)));
    let vector = g.add(Op::GlobalPool(GlobalPool { kind: PoolKind::Avg }), &[x]);
    for act in Act::ALL {
        for conv in &convs {
            let [y, z, alone] = [(); 3].map(|()| g.add(Op::Conv2d(conv.clone()), &[x]));
            let sum = g.add(Op::Add(Add::default()), &[y, z]);
            g.add(Op::Activation(act), &[sum]);
            g.add(Op::Activation(act), &[alone]);
        }
        let gate = g.add(Op::Linear(Linear::new(channels)), &[vector]);
        g.add(Op::Scale(Scale { residual: false, act }), &[x, gate]);
        g.add(Op::Scale(Scale { residual: true, act }), &[x, gate, x]);
        g.add(Op::Linear(Linear { act, ..Linear::new(channels + 2) }), &[vector]);
        g.add(Op::BatchNorm(BatchNorm { act, ..BatchNorm::eps(1e-5) }), &[x]);
        g.add(Op::Add(Add { act }), &[x, x]);
    }
    for unary in Unary::ALL.into_iter().chain([0.0, 0.5, -1.5].map(Unary::Power)) {
        g.add(Op::Unary(unary), &[x]);
    }
    g.add(Op::Mul(Mul {}), &[x, x]);
    for kind in [PoolKind::Max, PoolKind::AvgMax] {
        g.add(Op::GlobalPool(GlobalPool { kind }), &[x]);
    }
    for pool in [Pool::max(3).stride(2).padding(1), Pool::avg(2).ceil_mode(true)] {
        g.add(Op::Pool(pool.clone()), &[x]);
        g.add(Op::Pool(pool.count_include_pad(false)), &[x]);
    }
    let padded = g.add(Op::Pad(Padding::all(1).into()), &[x]);
    g.add(Op::Pool(Pool::avg(3)), &[padded]);
    let both = g.add(Op::Concat(Concat::default()), &[x, x]);
    let shuffled = g.add(Op::ChannelShuffle(ChannelShuffle { groups: 2 }), &[both]);
    let flat = g.add(Op::Reshape(Reshape { shape: Shape::vector(2 * channels * side * side) }), &[shuffled]);
    let depthwise = |g: &mut Sketch, x| {
        let groups = if channels.is_multiple_of(3) { 3 } else { 1 };
        let shuffled = g.add(Op::ChannelShuffle(ChannelShuffle { groups }), &[x]);
        g.add(Op::Conv2d(conv(3).groups(channels)), &[shuffled])
    };
    let alone = depthwise(&mut g, x);
    let squeezed = depthwise(&mut g, alone);
    let gate = g.add(Op::SqueezeExcite(SqueezeExcite::new(2)), &[squeezed]);
    g.add(Op::Scale(Scale::default()), &[squeezed, gate]);
    g.add(Op::Softmax(Softmax {}), &[flat]);
    g.finish()
}

/// Every op of tensors, those with variants by size in each.
fn tensors(dims: [usize; 3]) -> Graph {
    let [c, h, w] = dims;
    let mut builder = GraphBuilder::new("tensors");
    let x = builder.input(Shape::map(c, h, w)).expect("the first input");
    let mut g = Sketch { builder, unread: BTreeMap::new(), nodes: 0 };
    let turned = g.add(Op::Reshape(Reshape { shape: Shape::map(h, w, c) }), &[x]);
    // An op between them, so that they don't become one.
    let turned = g.add(Op::Activation(Act::Relu), &[turned]);
    let tensor = g.add(Op::Reshape(Reshape { shape: Shape::tensor(&dims) }), &[turned]);
    let constant = g.add(Op::Constant(Constant { shape: Shape::tensor(&[h, 1]) }), &[]);
    for op in Arithmetic::ALL {
        g.add(Op::Arithmetic(op), &[tensor, constant]);
    }
    for reduction in Reduction::ALL {
        for axes in [vec![0], vec![0, 1, 2]] {
            g.add(Op::Reduce(Reduce { reduction, axes }), &[tensor]);
        }
    }
    let transposed = g.add(Op::Permute(Permute { order: vec![0, 2, 1] }), &[tensor]);
    g.add(Op::MatMul(MatMul {}), &[tensor, transposed]);
    g.add(Op::Concat(Concat { axis: 1 }), &[tensor, tensor]);
    g.add(Op::Resample(Resample { axis: 1, size: 5, taps: 2 }), &[tensor]);
    g.finish()
}

/// SE blocks with every gate and every hidden activation, every squeeze, with and without what follows a scale.
fn squeeze_excites(channels: usize, reduced: usize, side: usize) -> Graph {
    let (mut g, x) = Sketch::new("squeeze_excites", channels, side);
    let kinds = [PoolKind::Avg, PoolKind::Max, PoolKind::AvgMax];
    for (squeeze, act) in kinds.into_iter().flat_map(|kind| Act::ALL.map(|act| (kind, act))) {
        let se_block = SqueezeExcite::new(reduced).squeeze(squeeze);
        for se_block in [se_block.clone().hidden(act).bias(false), se_block.gate(act)] {
            let [_alone, scaled] = [(); 2].map(|()| {
                let gate = g.add(Op::SqueezeExcite(se_block.clone()), &[x]);
                g.add(Op::Scale(Scale::default()), &[x, gate])
            });
            let sum = g.add(Op::Add(Add::default()), &[scaled, x]);
            g.add(Op::Activation(act), &[sum]);
        }
    }
    g.finish()
}

/// Fails with all that went wrong, not only the first.
fn report(results: impl Iterator<Item = (String, Result<(), String>)>) {
    let failures: Vec<String> = results.filter_map(|(label, r)| Some(format!("{label}\n{}", r.err()?))).collect();
    assert!(failures.is_empty(), "{} failures\n\n{}", failures.len(), failures.join("\n\n"));
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: found {found:?}, expected {expected:?}")) }
}

fn label(shader: &Shader, variant: Variant) -> String {
    format!("{} ({variant})", shader.name)
}

/// An error as text, with all its sources.
fn labelled<T, E: Error>(label: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| {
        let sources = std::iter::successors(error.source(), |&error| error.source());
        sources.fold(format!("{label}: {error}"), |text, source| format!("{text}: {source}"))
    })
}

/// Names of all files below `shaders/`, as declarations have them.
fn wgsl_files() -> BTreeSet<String> {
    let (mut folders, mut names) = (vec!["shaders".to_string()], BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("folders of shaders/ can be read") {
            let entry = entry.expect("folders of shaders/ can be read");
            let path = format!("{folder}/{}", entry.file_name().display());
            if entry.path().is_dir() {
                folders.push(path);
            } else {
                names.insert(path["shaders/".len()..].trim_end_matches(".wgsl").to_string());
            }
        }
    }
    names
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
