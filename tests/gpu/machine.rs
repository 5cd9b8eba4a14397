//! The adapters under test and the devices opened on them.

use excite::gpu::AdapterDescription;
use excite::kernels::Variant;
use excite::plan::Plan;
use excite::{Gpu, GpuOptions, wgpu};
use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock};

/// An adapter with two devices: shader checks on and off. One that has cooperative matrices stands for a second
/// machine, whose devices use them: it runs what is in half precision.
pub struct Machine {
    /// `<backend>/<adapter>`, as test names have it.
    pub name: String,
    pub description: AdapterDescription,
    pub matrices: bool,
    devices: [OnceLock<Gpu>; 2],
    of_blocks: Mutex<BTreeSet<(&'static str, Variant)>>,
}

/// Every adapter that `EXCITE_DEVICE` lets through, or what to do where there is none.
pub fn machines() -> Result<Vec<Machine>, String> {
    let wish = std::env::var("EXCITE_DEVICE").unwrap_or_default().to_lowercase();
    let found = excite::gpu::adapters();
    let chosen = |adapter: &AdapterDescription| {
        wish.is_empty()
            || wish == "auto"
            || wish.parse().map_or_else(|_| adapter.text.to_lowercase().contains(&wish), |i: usize| i == adapter.index)
    };
    let mut machines: Vec<Machine> = Vec::new();
    for description in found.into_iter().filter(chosen) {
        let mut name = format!("{}/{}", slug(&description.info.backend.to_string()), slug(&description.info.name));
        if machines.iter().any(|other| other.name == name) {
            name = format!("{name}-{}", description.index);
        }
        if !description.cooperative.is_empty() {
            machines.push(Machine::new(format!("{name}-matrices"), description.clone(), true));
        }
        machines.push(Machine::new(name, description, false));
    }
    if machines.is_empty() {
        let refusal = Gpu::open(&GpuOptions::default());
        return Err(refusal.map_or_else(|error| error.to_string(), |gpu| format!("only {} is there", gpu.describe())));
    }
    Ok(machines)
}

/// Lower-case letters and digits, everything else as single dashes.
fn slug(text: &str) -> String {
    let lower = text.to_lowercase();
    lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

impl Machine {
    fn new(name: String, description: AdapterDescription, matrices: bool) -> Self {
        Self { name, description, matrices, devices: Default::default(), of_blocks: Mutex::default() }
    }

    /// The device with or without shader checks, opened when first asked for.
    pub fn gpu(&self, checks: bool) -> &Gpu {
        self.devices[usize::from(checks)].get_or_init(|| {
            let device = Some(self.description.index.to_string());
            let options = GpuOptions::default().device(device).shader_checks(checks);
            let size = |options| if self.matrices { excite::measure::cooperative_matrices(options) } else { Ok(None) };
            let gpu = size(&options).and_then(|size| Gpu::open(&options.cooperative_matrices(size)));
            gpu.unwrap_or_else(|error| panic!("{}: {error}", self.name))
        })
    }

    /// A device of its own for one test.
    pub fn open(&self) -> excite::Result<Gpu> {
        Gpu::open(&GpuOptions::default().device(self.description.index.to_string()))
    }

    /// Notes what a stand-alone block has run, whose pipelines are its own.
    pub fn block_ran(&self, plan: &Plan) {
        let variants = plan.steps.iter().map(|step| (step.shader.name, step.variant));
        self.of_blocks.lock().expect("no holder of this lock panics").extend(variants);
    }

    /// The variants of shaders that have run on it: by name.
    pub fn variants(&self) -> BTreeSet<(&'static str, Variant)> {
        let of_blocks = self.of_blocks.lock().expect("no holder of this lock panics").clone();
        self.devices.iter().filter_map(OnceLock::get).flat_map(Gpu::variants).chain(of_blocks).collect()
    }

    /// A device of the tests' own, as a user of wgpu opens it: with changed limits.
    pub fn user_device(&self, change: impl FnOnce(&mut wgpu::Limits)) -> Result<(wgpu::Device, wgpu::Queue), String> {
        user_device(&self.description, change)
    }

    /// A device of the same adapter as users open theirs who ask for no features.
    pub fn plain_device(&self) -> Result<(wgpu::Device, wgpu::Queue), String> {
        device_with(&self.description, wgpu::Features::empty(), |_| ())
    }
}

/// As [`Machine::user_device`], of any adapter.
pub fn user_device(
    description: &AdapterDescription,
    change: impl FnOnce(&mut wgpu::Limits),
) -> Result<(wgpu::Device, wgpu::Queue), String> {
    device_with(description, wgpu::Features::SUBGROUP | wgpu::Features::SHADER_F16, change)
}

/// Opens an adapter with those of the features that it has.
fn device_with(
    description: &AdapterDescription,
    features: wgpu::Features,
    change: impl FnOnce(&mut wgpu::Limits),
) -> Result<(wgpu::Device, wgpu::Queue), String> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let same = |adapter: &wgpu::Adapter| adapter.get_info() == description.info;
    let adapter = adapters.into_iter().find(same).ok_or("the adapter has gone")?;
    let mut required_limits = adapter.limits();
    change(&mut required_limits);
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("user"),
        required_features: adapter.features() & features,
        required_limits,
        // Blocks that large batches outgrow.
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        ..Default::default()
    };
    pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| error.to_string())
}
