//! Writes shaders and pipelines for compilers that are not naga: `make shaders-foreign` and `make gpu-stats` run them.
//!
//! `EXCITE_FOREIGN=directory cargo test --all-features --test host shaders::foreign -- --ignored`
//!
//! With `EXCITE_FOREIGN_NETWORKS=a,b`, only these networks are planned. With `EXCITE_FOREIGN_SAMPLE=1`, what tuning may
//! choose is planned for some of the networks only: a third of the work.

use super::{Pipeline, labelled, parse, tuning, validator};
use excite::kernels::{Access, MatrixSize, SHADERS, Variant};
use excite::plan::{Choice, Fusion, Plan, PlanOptions, Target};
use excite::{Graph, Precision, zoo};
use naga::ShaderStage;
use naga::back::pipeline_constants::process_overrides;
use naga::back::{hlsl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Batches that networks are planned for, and those of the sample.
const BATCHES: [usize; 3] = [1, 8, 32];
const SAMPLED_BATCHES: [usize; 2] = [1, 32];
/// Of so many networks, one is in the sample.
const SAMPLED: usize = 6;

/// The kinds of adapter there are, by what [`Target`] knows of them.
fn targets() -> Vec<(&'static str, Target)> {
    let mut targets = vec![
        ("discrete", Target::gpu()),
        ("integrated", Target::integrated()),
        ("software", Target::software()),
        ("cooperative 8x8", Target::gpu().cooperative(MatrixSize::Eight)),
        ("cooperative 16x16", Target::gpu().cooperative(MatrixSize::Sixteen)),
    ];
    // What a device opened without optional features has, as in browsers and on OpenGL.
    let bare = |mut target: Target| {
        (target.subgroups, target.subgroup_size, target.half, target.int64) = (false, None, false, false);
        target
    };
    targets.push(("bare discrete", bare(Target::gpu())));
    targets.push(("bare integrated", bare(Target::integrated())));
    targets.push(("bare software", bare(Target::software())));
    // SwiftShader behind a browser, and WARP: subgroups too small to share weights.
    let mut browser = Target::software();
    (browser.subgroup_size, browser.int64) = (Some(4), false);
    targets.push(("software in a browser", browser));
    let mut small = Target::software();
    small.subgroup_size = Some(4);
    targets.push(("software of small subgroups", small));
    targets
}

/// Pipelines, each with the plans that have it: a target as users plan for it, or with what is said behind it.
#[derive(Default)]
struct Found(BTreeMap<String, (Pipeline, BTreeSet<String>)>);

impl Found {
    fn add(&mut self, plan: Plan, of: &str) {
        for step in plan.steps {
            let (label, pipeline) = Pipeline::named(step.shader, step.variant, step.overrides);
            self.0.entry(label).or_insert_with(|| (pipeline, BTreeSet::new())).1.insert(of.into());
        }
    }

    /// Adds what a network's plans have: for these batches, and tuned or not.
    fn add_network(&mut self, graph: &Graph, batches: &[usize], tuned: bool) {
        for (name, target) in targets() {
            let precisions = Precision::ALL.into_iter().filter(|&precision| match precision {
                Precision::F32 => target.cooperative.is_none(),
                Precision::F16 => target.half,
            });
            for precision in precisions {
                let plan = |batch, options: PlanOptions| {
                    let mut target = target.clone();
                    if batch > 1 {
                        // With the least limits, maps of large batches have no room.
                        target.limits.max_buffer_size = 64 << 30;
                        target.limits.max_storage_buffer_binding_size = 64 << 30;
                    }
                    let plan = Plan::new(graph, batch, &target, &options.precision(precision));
                    plan.unwrap_or_else(|error| panic!("{} on {name}, batch {batch}: {error}", graph.name()))
                };
                for &batch in batches {
                    self.add(plan(batch, PlanOptions::default()), name);
                }
                for fusion in [Fusion::None, Fusion::Kernels] {
                    self.add(plan(1, PlanOptions::default().fusion(fusion)), &format!("{name}, fusion {fusion}"));
                }
                if !tuned {
                    continue;
                }
                let plain = plan(1, PlanOptions::default());
                for choice in Choice::ALL {
                    let able: Vec<_> =
                        plain.choices().filter(|(.., candidates)| candidates.contains(&choice)).map(|c| c.0).collect();
                    if !able.is_empty() {
                        let tuning = tuning(precision, &target, choice, able.into_iter());
                        self.add(plan(1, PlanOptions::default().tuning(tuning)), &format!("{name}, tuned"));
                    }
                }
            }
        }
    }
}

/// What any target's plans of the zoo choose, and what tuning may choose for them.
fn of_zoo(sample: bool) -> Found {
    let mut entries = zoo::entries();
    if let Ok(names) = std::env::var("EXCITE_FOREIGN_NETWORKS") {
        entries.retain(|entry| names.split(',').any(|name| name == entry.name));
    }
    let (next, found) = (Mutex::new(entries.iter().enumerate()), Mutex::new(Found::default()));
    let batches = if sample { &SAMPLED_BATCHES[..] } else { &BATCHES[..] };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = Found::default();
                loop {
                    let Some((index, entry)) = next.lock().expect("no holder panics").next() else { break };
                    let graph = zoo::build(entry.name, &Default::default()).expect("entries build");
                    own.add_network(&graph, batches, !sample || index % SAMPLED == 0);
                }
                let mut all = found.lock().expect("no holder panics");
                for (label, (pipeline, plans)) in own.0 {
                    all.0.entry(label).or_insert_with(|| (pipeline, BTreeSet::new())).1.extend(plans);
                }
            });
        }
    });
    found.into_inner().expect("no holder panics")
}

/// What an adapter must have for a variant, beyond what all have.
fn needs(variant: Variant) -> Vec<&'static str> {
    let needs = [
        (variant.half(), "f16"),
        (variant.subgroups(), "subgroups"),
        (variant.wide(), "int64"),
        (variant.matrices().is_some(), "matrices"),
    ];
    needs.into_iter().filter_map(|(wanted, name)| wanted.then_some(name)).collect()
}

/// No checks in shaders: how `Gpu` asks wgpu to translate them.
const UNCHECKED: BoundsCheckPolicies = BoundsCheckPolicies {
    index: BoundsCheckPolicy::Unchecked,
    buffer: BoundsCheckPolicy::Unchecked,
    image_load: BoundsCheckPolicy::Unchecked,
    binding_array: BoundsCheckPolicy::Unchecked,
};

/// SPIR-V as wgpu-hal's Vulkan backend has naga write it, on an adapter of Vulkan 1.3.
fn spirv(module: &naga::Module, info: &naga::valid::ModuleInfo, variant: Variant) -> Result<Vec<u8>, String> {
    use spv::Capability as C;
    let mut capabilities = vec![C::Shader, C::Matrix, C::Sampled1D, C::Image1D, C::ImageQuery, C::DerivativeControl];
    capabilities.push(C::StorageImageExtendedFormats);
    if variant.subgroups() || variant.matrices().is_some() {
        capabilities.extend([C::GroupNonUniform, C::GroupNonUniformVote, C::GroupNonUniformArithmetic]);
        capabilities.extend([C::GroupNonUniformBallot, C::GroupNonUniformShuffle, C::GroupNonUniformShuffleRelative]);
        capabilities.push(C::GroupNonUniformQuad);
    }
    if variant.wide() {
        capabilities.push(C::Int64);
    }
    if variant.half() {
        capabilities.push(C::Float16);
    }
    if variant.matrices().is_some() {
        capabilities.extend([C::CooperativeMatrixKHR, C::VulkanMemoryModel]);
    }
    let options = spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::LABEL_VARYINGS | spv::WriterFlags::FORCE_POINT_SIZE,
        capabilities: Some(capabilities.into_iter().collect()),
        bounds_check_policies: UNCHECKED,
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        emit_int_div_checks: false,
        ..Default::default()
    };
    let entry = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: "main".into() };
    let words = labelled("SPIR-V", spv::write_vec(module, info, &options, Some(&entry)))?;
    Ok(words.into_iter().flat_map(u32::to_le_bytes).collect())
}

/// HLSL as wgpu-hal's DX12 backend has naga write it, and the entry point's name there.
fn hlsl(
    module: &naga::Module,
    info: &naga::valid::ModuleInfo,
    shader_model: hlsl::ShaderModel,
) -> Result<(String, String), String> {
    let options = hlsl::Options {
        shader_model,
        // Where wgpu puts the number of workgroups: behind the uniform.
        special_constants_binding: Some(hlsl::BindTarget { register: 1, ..Default::default() }),
        zero_initialize_workgroup_memory: false,
        restrict_indexing: false,
        force_loop_bounding: false,
        ..Default::default()
    };
    let entry = hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, "main".into())) };
    let mut text = String::new();
    let written = labelled("HLSL", hlsl::Writer::new(&mut text, &options, &entry).write(module, info, None))?;
    let name = written.entry_point_names.into_iter().next().expect("one entry point is asked for");
    Ok((text, labelled("HLSL", name)?))
}

/// Files of a directory, each text once.
struct Files {
    directory: PathBuf,
    names: BTreeMap<Vec<u8>, String>,
}

impl Files {
    fn new(directory: &Path) -> Self {
        fs::create_dir_all(directory).expect("a directory can be made");
        Self { directory: directory.into(), names: BTreeMap::new() }
    }

    /// Writes a file, unless there is one of the same contents. Its name.
    fn write(&mut self, contents: Vec<u8>, extension: &str) -> String {
        let next = format!("{:04}.{extension}", self.names.len());
        let directory = &self.directory;
        let name = self.names.entry(contents).or_insert_with_key(|contents| {
            fs::write(directory.join(&next), contents).expect("a file can be written");
            next
        });
        name.clone()
    }
}

/// Writes `sources.json`, `pipelines.json`, and a file for each source and each pipeline's translations.
#[test]
#[ignore = "writes files for other compilers: make shaders-foreign"]
fn written() {
    let directory = std::env::var_os("EXCITE_FOREIGN").expect("EXCITE_FOREIGN names the directory to write to");
    let directory = Path::new(&directory);
    let [mut wgsl, mut spv, mut hlsl_] = ["wgsl", "spv", "hlsl"].map(|kind| Files::new(&directory.join(kind)));
    let mut sources: BTreeMap<String, Value> = BTreeMap::new();
    for (shader, variant) in SHADERS.iter().flat_map(|shader| shader.variants().into_iter().map(move |v| (shader, v))) {
        let bindings = shader.bindings(variant).into_iter().map(|(number, access, _)| {
            let kind = match access {
                Access::Uniform => "uniform",
                Access::Read => "read-only-storage",
                Access::Write => "storage",
            };
            json!({ "binding": number, "type": kind })
        });
        let bindings: Vec<Value> = bindings.collect();
        let file = wgsl.write(shader.standard_source(variant).into_bytes(), "wgsl");
        let source = json!({ "file": file, "needs": needs(variant), "bindings": bindings });
        sources.insert(super::label(shader, variant), source);
    }
    let mut parsed = BTreeMap::new();
    let mut pipelines = Vec::new();
    for (label, (pipeline, plans)) in of_zoo(std::env::var_os("EXCITE_FOREIGN_SAMPLE").is_some()).0 {
        let Pipeline { shader, variant, overrides } = pipeline;
        let module = parsed.entry((shader.name, variant)).or_insert_with(|| parse(shader, variant));
        let (module, info) = module.as_ref().unwrap_or_else(|error| panic!("{label}: {error}"));
        let constants = overrides.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        let (module, _) = process_overrides(module, info, Some((ShaderStage::Compute, "main")), &constants)
            .unwrap_or_else(|error| panic!("{label}: {error}"));
        let info = validator(variant).validate_resolved_overrides(&module).unwrap_or_else(|e| panic!("{label}: {e}"));
        let mut entry = json!({
            "label": label,
            "source": super::label(shader, variant),
            "constants": overrides.iter().copied().collect::<BTreeMap<_, _>>(),
            "plans": plans,
        });
        let words = spirv(&module, &info, variant).unwrap_or_else(|error| panic!("{label}: {error}"));
        entry["spv"] = json!(spv.write(words, "spv"));
        // naga writes no cooperative matrices in HLSL, and wgpu offers none on DX12.
        if variant.matrices().is_none() {
            let (model, profile) =
                if variant.half() { (hlsl::ShaderModel::V6_2, "cs_6_2") } else { (hlsl::ShaderModel::V6_0, "cs_6_0") };
            let (text, name) = hlsl(&module, &info, model).unwrap_or_else(|error| panic!("{label}: {error}"));
            entry["hlsl"] =
                json!({ "file": hlsl_.write(text.into_bytes(), "hlsl"), "entry": name, "profile": profile });
        }
        // Shader model 5.1, that of FXC, has only what every adapter has.
        if needs(variant).is_empty() {
            let (text, name) =
                hlsl(&module, &info, hlsl::ShaderModel::V5_1).unwrap_or_else(|error| panic!("{label}: {error}"));
            entry["fxc"] =
                json!({ "file": hlsl_.write(text.into_bytes(), "hlsl"), "entry": name, "profile": "cs_5_1" });
        }
        pipelines.push(entry);
    }
    let write = |name: &str, value: Value| fs::write(directory.join(name), format!("{value:#}\n"));
    write("sources.json", json!(sources)).expect("a file can be written");
    write("pipelines.json", json!(pipelines)).expect("a file can be written");
}
