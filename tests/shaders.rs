//! Every shader without a GPU: files, declarations and headers agree, and each override set that a plan chooses passes
//! naga and its translators to SPIR-V, MSL, HLSL and GLSL. A second table in step with the WGSL does not exist.

use excite::kernels::{Access, SHADERS, Shader};
use excite::plan::{Family, Plan, PlanOptions, SeForm, Target};
use excite::{
    Act, Add, BatchNorm, ChannelShuffle, Concat, Conv2d, Flatten, Fusion, GlobalPool, Graph, GraphBuilder, Linear, Mul,
    Op, Pad, Padding, Pool, PoolKind, Scale, Shape, Softmax, SqueezeExcite, Value,
};
use naga::back::{glsl, hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy, Layouter};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage, StorageAccess, TypeInner};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

/// What every WebGPU adapter gives a workgroup, and a shader.
const WORKGROUP_BYTES: u32 = 16 << 10;
const INVOCATIONS: u32 = 256;
const STORAGE_BUFFERS: usize = 8;

/// Shaders that no plan reaches, with the override sets of whoever uses them: the stand-alone SE block, on maps in
/// layouts that networks don't have inside.
const STAND_ALONE: &[(&str, &[&[(&str, f64)]])] = &[
    ("squeeze_excite/squeeze_strided", &[&[("WORKGROUP", 64.0), ("MAX", 0.0)], &[("WORKGROUP", 64.0), ("MAX", 1.0)]]),
    (
        "squeeze_excite/scale_strided",
        &[
            &[("WORKGROUP", 64.0), ("RESIDUAL", 0.0), ("ACT", 0.0), ("SLOPE", 0.0)],
            &[("WORKGROUP", 64.0), ("RESIDUAL", 1.0), ("ACT", 1.0), ("SLOPE", 0.0)],
        ],
    ),
];

#[test]
fn files_and_declarations_are_the_same() {
    let declared: Vec<&str> = SHADERS.iter().map(|shader| shader.name).collect();
    let common = SHADERS.iter().flat_map(|shader| shader.common).map(|name| format!("common/{name}"));
    // The second form of `reduce`: the source of the subgroup form has it.
    let expected: BTreeSet<String> =
        declared.iter().map(|name| name.to_string()).chain(common).chain(["common/reduce_subgroup".into()]).collect();
    assert_eq!(wgsl_files(), expected, "files below shaders/, and what src/kernels/ declares and appends");
    let distinct: BTreeSet<&str> = declared.iter().copied().collect();
    assert_eq!(distinct.len(), declared.len(), "a shader is declared twice: {declared:?}");
}

#[test]
fn headers_name_the_host_file() {
    for shader in SHADERS {
        let header: Vec<&str> = shader.text.lines().take_while(|line| line.starts_with("//")).collect();
        let host = header.iter().find_map(|line| line.split_once("Host `")?.1.split_once('`'));
        let (host, _) = host.unwrap_or_else(|| panic!("{}: the header has no Host `src/kernels/…`", shader.name));
        let text = fs::read_to_string(root().join(host));
        let text = text.unwrap_or_else(|error| panic!("{}: its host file {host}: {error}", shader.name));
        assert!(text.contains(&format!("{:?}", shader.name)), "{}: {host} does not declare it", shader.name);
    }
}

#[test]
fn shaders_are_as_declared() {
    let check = |shader: &Shader, subgroups| {
        let (module, _) = parse(shader, subgroups)?;
        let entries: Vec<&str> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
        expect("entry points", entries, vec!["main"])?;
        expect("bindings", bindings(&module), declared_bindings(shader))?;
        let storage = shader.bindings.iter().filter(|(access, _)| *access != Access::Uniform).count();
        expect("more storage buffers than every adapter has", storage > STORAGE_BUFFERS, false)?;
        let overrides = module.overrides.iter().filter_map(|(_, o)| Some((o.name.as_deref()?, o.id))).collect();
        let declared: BTreeSet<_> = shader.overrides.iter().map(|name| (*name, None)).collect();
        expect("number of declared overrides", shader.overrides.len(), declared.len())?;
        expect("overrides and their @id", overrides, declared)?;
        expect("fields of Params", params(&module), declared_params(shader))
    };
    let forms = SHADERS.iter().flat_map(|shader| [(shader, false), (shader, true)]);
    let forms = forms.filter(|(shader, subgroups)| shader.reduces() || !subgroups);
    report(forms.map(|(shader, subgroups)| (label(shader, subgroups), check(shader, subgroups))));
}

#[test]
fn planned_pipelines_translate_everywhere() {
    let mut parsed = BTreeMap::new();
    report(pipelines().into_iter().map(|(label, pipeline)| {
        let key = (pipeline.shader.name, pipeline.subgroups);
        let form = parsed.entry(key).or_insert_with(|| parse(pipeline.shader, pipeline.subgroups));
        (label, form.as_ref().map_err(String::clone).and_then(|form| pipeline.check(form)))
    }));
}

#[test]
fn every_shader_is_planned_or_stand_alone() {
    let planned: BTreeSet<&str> = planned().map(|pipeline| pipeline.shader.name).collect();
    let alone: BTreeSet<&str> = STAND_ALONE.iter().map(|(name, _)| *name).collect();
    let all: BTreeSet<&str> = SHADERS.iter().map(|shader| shader.name).collect();
    assert_eq!(&all - &planned, alone, "shaders that no plan reaches, and the list of them in this file");
}

/// A shader with values for its overrides.
struct Pipeline {
    shader: &'static Shader,
    subgroups: bool,
    overrides: Vec<(&'static str, f64)>,
}

impl Pipeline {
    /// Resolves the overrides, then validates, measures and translates.
    fn check(&self, (module, info): &(Module, ModuleInfo)) -> Result<(), String> {
        let source = self.shader.source(self.subgroups);
        let constants = self.overrides.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        let main = Some((ShaderStage::Compute, "main"));
        let resolved = naga::back::pipeline_constants::process_overrides(module, info, main, &constants);
        let (module, _) = resolved.map_err(|error| match error {
            naga::back::pipeline_constants::PipelineConstantError::ValidationError(error) => {
                error.emit_to_string(&source)
            }
            error => chain(&error),
        })?;
        let info = validator(self.subgroups).validate_resolved_overrides(&module);
        let info = info.map_err(|error| error.emit_to_string(&source))?;
        let size: u32 = module.entry_points[0].workgroup_size.iter().product();
        expect("a workgroup size that is not 1 to 256", (1..=INVOCATIONS).contains(&size), true)?;
        let bytes = workgroup_bytes(&module);
        expect(&format!("{bytes} bytes of workgroup memory pass the limit"), bytes > WORKGROUP_BYTES, false)?;
        to_spirv(&module, &info).map_err(|error| format!("SPIR-V: {error}"))?;
        to_msl(&module, &info).map_err(|error| format!("MSL: {error}"))?;
        to_hlsl(&module, &info).map_err(|error| format!("HLSL: {error}"))?;
        if self.subgroups { Ok(()) } else { to_glsl(&module, &info).map_err(|error| format!("GLSL: {error}")) }
    }
}

// As wgpu translates, its checks included.
const CHECKED: BoundsCheckPolicies = BoundsCheckPolicies {
    index: BoundsCheckPolicy::Restrict,
    buffer: BoundsCheckPolicy::Restrict,
    image_load: BoundsCheckPolicy::Unchecked,
    binding_array: BoundsCheckPolicy::Unchecked,
};

fn to_spirv(module: &Module, info: &ModuleInfo) -> Result<(), String> {
    let options = spv::Options { lang_version: (1, 3), bounds_check_policies: CHECKED, ..Default::default() };
    let entry = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: "main".into() };
    spv::write_vec(module, info, &options, Some(&entry)).map(drop).map_err(|error| chain(&error))
}

fn to_msl(module: &Module, info: &ModuleInfo) -> Result<(), String> {
    let options = msl::Options { lang_version: (2, 4), bounds_check_policies: CHECKED, ..Default::default() };
    let entry = Some((ShaderStage::Compute, "main".to_string()));
    let entry = msl::PipelineOptions { entry_point: entry, ..Default::default() };
    let (_, translation) = msl::write_string(module, info, &options, &entry).map_err(|error| chain(&error))?;
    translation.entry_point_names.into_iter().try_for_each(|name| name.map(drop).map_err(|error| chain(&error)))
}

fn to_hlsl(module: &Module, info: &ModuleInfo) -> Result<(), String> {
    let options = hlsl::Options { shader_model: hlsl::ShaderModel::V6_0, ..Default::default() };
    let entry = hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, "main".into())) };
    let mut text = String::new();
    let reflection = hlsl::Writer::new(&mut text, &options, &entry).write(module, info, None);
    let names = reflection.map_err(|error| chain(&error))?.entry_point_names;
    names.into_iter().try_for_each(|name| name.map(drop).map_err(|error| chain(&error)))
}

fn to_glsl(module: &Module, info: &ModuleInfo) -> Result<(), String> {
    let options = glsl::Options { version: glsl::Version::new_gles(310), ..Default::default() };
    let entry =
        glsl::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: "main".into(), multiview: None };
    let mut text = String::new();
    let unchecked = BoundsCheckPolicies::default();
    let writer = glsl::Writer::new(&mut text, module, info, &options, &entry, unchecked);
    writer.and_then(|mut writer| writer.write()).map(drop).map_err(|error| chain(&error))
}

/// Parses and validates one form of a shader, with the capabilities that every adapter has and, at most, subgroups.
fn parse(shader: &Shader, subgroups: bool) -> Result<(Module, ModuleInfo), String> {
    let source = shader.source(subgroups);
    let module = naga::front::wgsl::parse_str(&source).map_err(|error| error.emit_to_string(&source))?;
    let info = validator(subgroups).validate(&module).map_err(|error| error.emit_to_string(&source))?;
    Ok((module, info))
}

fn validator(subgroups: bool) -> Validator {
    let capabilities = if subgroups { Capabilities::SUBGROUP } else { Capabilities::empty() };
    Validator::new(ValidationFlags::all(), capabilities)
}

/// Group, binding, access and name of every resource, in the order of the source.
fn bindings(module: &Module) -> Vec<(u32, u32, Option<Access>, String)> {
    let resources = module.global_variables.iter().filter_map(|(_, variable)| {
        let at = variable.binding?;
        let read_write = StorageAccess::LOAD | StorageAccess::STORE;
        let access = match variable.space {
            AddressSpace::Uniform => Some(Access::Uniform),
            AddressSpace::Storage { access: StorageAccess::LOAD } => Some(Access::Read),
            AddressSpace::Storage { access } if access == read_write => Some(Access::Write),
            _ => None,
        };
        Some((at.group, at.binding, access, variable.name.clone().unwrap_or_default()))
    });
    resources.collect()
}

fn declared_bindings(shader: &Shader) -> Vec<(u32, u32, Option<Access>, String)> {
    (0..).zip(shader.bindings).map(|(index, (access, name))| (0, index, Some(*access), name.to_string())).collect()
}

/// Name, type and offset of every field of the uniform.
fn params(module: &Module) -> Vec<(String, String, u32)> {
    let uniforms = module.global_variables.iter().filter(|(_, variable)| variable.space == AddressSpace::Uniform);
    let types = uniforms.map(|(_, variable)| &module.types[variable.ty]);
    let fields = types.filter(|ty| ty.name.as_deref() == Some("Params")).flat_map(|ty| match &ty.inner {
        TypeInner::Struct { members, .. } => members.as_slice(),
        _ => &[],
    });
    let name = |ty| match module.types[ty].inner {
        TypeInner::Scalar(naga::Scalar::U32) => "u32".into(),
        TypeInner::Scalar(naga::Scalar::I32) => "i32".into(),
        TypeInner::Scalar(naga::Scalar::F32) => "f32".into(),
        ref other => format!("{other:?}"),
    };
    fields.map(|field| (field.name.clone().unwrap_or_default(), name(field.ty), field.offset)).collect()
}

fn declared_params(shader: &Shader) -> Vec<(String, String, u32)> {
    (0..).zip(shader.params).map(|(index, (name, ty))| (name.to_string(), ty.to_string(), 4 * index)).collect()
}

/// Workgroup memory as WebGPU counts it: every variable rounded up to 16 bytes.
fn workgroup_bytes(module: &Module) -> u32 {
    let mut layouts = Layouter::default();
    layouts.update(module.to_ctx()).expect("a valid module has layouts");
    let variables = module.global_variables.iter().filter(|(_, variable)| variable.space == AddressSpace::WorkGroup);
    variables.map(|(_, variable)| layouts[variable.ty].size.next_multiple_of(16)).sum()
}

/// The distinct pipelines of plans and of the stand-alone block, by what failures call them.
fn pipelines() -> BTreeMap<String, Pipeline> {
    let declared = |name| *SHADERS.iter().find(|shader| shader.name == name).expect("the list names declared shaders");
    let forms = |(name, sets): &'static (&str, &'static [&[_]])| {
        let shader = declared(*name);
        let forms = [false, true].into_iter().filter(|&subgroups| shader.reduces() || !subgroups);
        forms.flat_map(move |subgroups| {
            sets.iter().map(move |overrides| Pipeline { shader, subgroups, overrides: overrides.to_vec() })
        })
    };
    let all = planned().chain(STAND_ALONE.iter().flat_map(forms));
    all.map(|pipeline| (format!("{} {:?}", label(pipeline.shader, pipeline.subgroups), pipeline.overrides), pipeline)).collect()
}

/// Pipelines of all plans of all graphs, however planning is told to choose.
fn planned() -> impl Iterator<Item = Pipeline> {
    let families = [None, Some(Family::Direct), Some(Family::Tiled)];
    let forms = [None, Some(SeForm::Spread), Some(SeForm::Excite), Some(SeForm::Block)];
    let mut options = Vec::new();
    for fusion in Fusion::ALL {
        for (family, se) in families.iter().flat_map(|family| forms.iter().map(move |se| (*family, *se))) {
            options.extend([None, Some(false)].map(|subgroups| PlanOptions { fusion, family, subgroups, se }));
        }
    }
    let steps = |graph: &Graph, batch| {
        let mut steps = Vec::new();
        for target in [Target::gpu(), Target::software()] {
            for options in &options {
                let plan = Plan::new(graph, batch, &target, options);
                steps.extend(plan.unwrap_or_else(|error| panic!("{}: {error}", graph.name())).steps);
            }
        }
        steps
    };
    let steps: Vec<_> = graphs().iter().flat_map(|(graph, batch)| steps(graph, *batch)).collect();
    steps.into_iter().map(|step| Pipeline { shader: step.shader, subgroups: step.subgroups, overrides: step.overrides })
}

/// Graphs and batches that together reach what plans can choose. Networks of the zoo go here as well.
fn graphs() -> Vec<(Graph, usize)> {
    vec![
        (operations(60, 14), 1),
        (operations(15, 7), 3),
        (operations(1, 5), 2),
        (squeeze_excites(8, 3, 4), 128),
        (squeeze_excites(37, 5, 9), 1),
        (squeeze_excites(512, 32, 28), 1),
        // All the workgroup memory there is.
        (squeeze_excites(4092, 4, 1), 1),
        (se_resnet(), 1),
        (se_resnet(), 16),
    ]
}

/// A graph in the making: nodes name themselves, and what nobody reads is an output.
struct Sketch {
    builder: GraphBuilder,
    unread: BTreeMap<String, Value>,
    count: usize,
}

impl Sketch {
    fn new(name: &str, channels: usize, side: usize) -> (Self, Value) {
        let mut builder = GraphBuilder::new(name);
        let x = builder.input(Shape::map(channels, side, side)).expect("the first input");
        (Self { builder, unread: BTreeMap::new(), count: 0 }, x)
    }

    fn add(&mut self, op: Op, inputs: &[Value]) -> Value {
        self.count += 1;
        let name = format!("node{}", self.count);
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

/// Every op but SE, with every activation behind those that can take one in.
fn operations(channels: usize, side: usize) -> Graph {
    let (mut g, x) = Sketch::new("operations", channels, side);
    let conv = |kernel| Conv2d::new(channels, kernel).padding(kernel / 2);
    let mut convs = vec![conv(1), Conv2d::new(channels + 1, 1).bias(false), conv(3), conv(3).stride(2)];
    convs.extend([conv(3).padding(2).dilation(2), conv(3).groups(channels), conv(5).groups(channels).stride(2)]);
    let grouped = [3, 4, 5].into_iter().filter(|size| channels % size == 0);
    convs.extend(grouped.map(|size| conv(3).groups(channels / size)));
    let vector = g.add(Op::GlobalPool(GlobalPool { kind: PoolKind::Avg }), &[x]);
    for act in Act::ALL {
        for conv in &convs {
            let y = g.add(Op::Conv2d(conv.clone()), &[x]);
            let z = g.add(Op::Conv2d(conv.clone()), &[x]);
            let sum = g.add(Op::Add(Add::default()), &[y, z]);
            g.add(Op::Activation(act), &[sum]);
            let alone = g.add(Op::Conv2d(conv.clone()), &[x]);
            g.add(Op::Activation(act), &[alone]);
        }
        let gate = g.add(Op::Linear(Linear::new(channels)), &[vector]);
        g.add(Op::Scale(Scale { residual: false, act }), &[x, gate]);
        g.add(Op::Scale(Scale { residual: true, act }), &[x, gate, x]);
        g.add(Op::Linear(Linear { act, ..Linear::new(channels + 2) }), &[vector]);
        g.add(Op::BatchNorm(BatchNorm { act, ..BatchNorm::eps(1e-5) }), &[x]);
        g.add(Op::Add(Add { act }), &[x, x]);
    }
    g.add(Op::Mul(Mul {}), &[x, x]);
    g.add(Op::GlobalPool(GlobalPool { kind: PoolKind::Max }), &[x]);
    for pool in [Pool::max(3).stride(2).padding(1), Pool::avg(2).ceil_mode(true), Pool::max(2).count_include_pad(false)] {
        g.add(Op::Pool(pool.clone()), &[x]);
        g.add(Op::Pool(pool.count_include_pad(false)), &[x]);
    }
    let padded = g.add(Op::Pad(Pad { padding: Padding::all(1) }), &[x]);
    g.add(Op::Pool(Pool::avg(3)), &[padded]);
    let both = g.add(Op::Concat(Concat {}), &[x, x]);
    let shuffled = g.add(Op::ChannelShuffle(ChannelShuffle { groups: 2 }), &[both]);
    let flat = g.add(Op::Flatten(Flatten {}), &[shuffled]);
    g.add(Op::Softmax(Softmax {}), &[flat]);
    g.finish()
}

/// SE stages with every gate and every hidden activation, both squeezes, with and without what follows a scale.
fn squeeze_excites(channels: usize, reduced: usize, side: usize) -> Graph {
    let (mut g, x) = Sketch::new("squeeze_excites", channels, side);
    for squeeze in [PoolKind::Avg, PoolKind::Max] {
        let stage = SqueezeExcite::new(reduced).squeeze(squeeze);
        for act in Act::ALL {
            for stage in [stage.clone().hidden(act).bias(false), stage.clone().gate(act)] {
                let gate = g.add(Op::SqueezeExcite(stage.clone()), &[x]);
                g.add(Op::Scale(Scale::default()), &[x, gate]);
                let gate = g.add(Op::SqueezeExcite(stage), &[x]);
                let scaled = g.add(Op::Scale(Scale::default()), &[x, gate]);
                let sum = g.add(Op::Add(Add::default()), &[scaled, x]);
                g.add(Op::Activation(act), &[sum]);
            }
        }
    }
    g.finish()
}

/// SE-ResNet-50 at 224 pixels: the sizes that networks have.
fn se_resnet() -> Graph {
    let (mut g, x) = Sketch::new("se_resnet", 3, 224);
    let conv_norm = |g: &mut Sketch, x, conv: Conv2d| {
        let y = g.add(Op::Conv2d(conv.bias(false)), &[x]);
        g.add(Op::BatchNorm(BatchNorm::eps(1e-5)), &[y])
    };
    let conv_relu = |g: &mut Sketch, x, conv| {
        let y = conv_norm(g, x, conv);
        g.add(Op::Activation(Act::Relu), &[y])
    };
    let stem = conv_relu(&mut g, x, Conv2d::new(64, 7).stride(2).padding(3));
    let mut x = g.add(Op::Pool(Pool::max(3).stride(2).padding(1)), &[stem]);
    for (stage, blocks) in [3, 4, 6, 3].into_iter().enumerate() {
        let width = 64 << stage;
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let y = conv_relu(&mut g, x, Conv2d::new(width, 1));
            let y = conv_relu(&mut g, y, Conv2d::new(width, 3).stride(stride).padding(1));
            let y = conv_norm(&mut g, y, Conv2d::new(4 * width, 1));
            let gate = g.add(Op::SqueezeExcite(SqueezeExcite::new(width / 4)), &[y]);
            let y = g.add(Op::Scale(Scale::default()), &[y, gate]);
            let short = if block == 0 { conv_norm(&mut g, x, Conv2d::new(4 * width, 1).stride(stride)) } else { x };
            let sum = g.add(Op::Add(Add::default()), &[y, short]);
            x = g.add(Op::Activation(Act::Relu), &[sum]);
        }
    }
    let pooled = g.add(Op::GlobalPool(GlobalPool { kind: PoolKind::Avg }), &[x]);
    g.add(Op::Linear(Linear::new(1000)), &[pooled]);
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

fn label(shader: &Shader, subgroups: bool) -> String {
    format!("{}{}", shader.name, if subgroups { " (subgroups)" } else { "" })
}

/// An error with all its sources.
fn chain(error: &dyn Error) -> String {
    let source = error.source().map(|source| format!(": {}", chain(source)));
    format!("{error}{}", source.unwrap_or_default())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Names of all files below `shaders/`, as declarations have them.
fn wgsl_files() -> BTreeSet<String> {
    let (shaders, mut names) = (root().join("shaders"), BTreeSet::new());
    let mut folders = vec![shaders.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("shaders/ can be read") {
            let path = entry.expect("shaders/ can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&shaders).expect("the folder is below shaders/").to_string_lossy();
                names.insert(name.trim_end_matches(".wgsl").replace('\\', "/"));
            }
        }
    }
    names
}
