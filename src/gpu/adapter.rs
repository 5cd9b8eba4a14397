//! Which adapters there are, and which one to take.

use super::cooperative;
use crate::error::{Error, Result};
use crate::kernels::MatrixSize;
use wgpu::{Backend, DeviceType};

/// One adapter of this machine, as [`super::GpuOptions::device`] can name it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AdapterDescription {
    /// Position in the list: best first.
    pub index: usize,
    /// What wgpu says of it.
    pub info: wgpu::AdapterInfo,
    /// Optional features that this crate uses.
    pub features: wgpu::Features,
    /// Cooperative matrices that our kernels could use, the preferred size first.
    pub cooperative: Vec<MatrixSize>,
    /// Its limits.
    pub limits: wgpu::Limits,
    /// The whole in one line.
    pub text: String,
}

/// The adapters of this machine, best first: GPUs before software, native backends before OpenGL.
pub fn adapters() -> Vec<AdapterDescription> {
    let describe = |(index, adapter): (usize, wgpu::Adapter)| {
        let info = adapter.get_info();
        let text = describe(&info);
        let cooperative = cooperative::sizes(&adapter);
        AdapterDescription { index, features: adapter.features(), cooperative, limits: adapter.limits(), info, text }
    };
    pollster::block_on(enumerate()).into_iter().enumerate().map(describe).collect()
}

async fn enumerate() -> Vec<wgpu::Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let mut adapters = instance.enumerate_adapters(wgpu::Backends::all()).await;
    adapters
        .retain(|adapter| adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS));
    adapters.sort_by_key(|adapter| {
        let info = adapter.get_info();
        (kind_rank(info.device_type), backend_rank(info.backend))
    });
    adapters
}

const fn kind_rank(kind: DeviceType) -> u8 {
    match kind {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    }
}

const fn backend_rank(backend: Backend) -> u8 {
    match backend {
        Backend::Vulkan | Backend::Metal | Backend::BrowserWebGpu => 0,
        Backend::Dx12 => 1,
        Backend::Gl => 2,
        Backend::Noop => 3,
    }
}

/// `name, backend, kind`, and the driver where it says more.
pub(super) fn describe(info: &wgpu::AdapterInfo) -> String {
    let kind = match info.device_type {
        DeviceType::DiscreteGpu => "discrete GPU",
        DeviceType::IntegratedGpu => "integrated GPU",
        DeviceType::VirtualGpu => "virtual GPU",
        DeviceType::Cpu => "software",
        DeviceType::Other => "unknown kind",
    };
    let driver = if info.driver_info.is_empty() { String::new() } else { format!(", {}", info.driver_info) };
    format!("{}, {}, {kind}{driver}", info.name, info.backend)
}

/// The adapter that `wish` means.
pub(super) async fn choose(wish: &str) -> Result<wgpu::Adapter> {
    let mut adapters = enumerate().await;
    if adapters.is_empty() {
        return Err(Error::NoAdapter(
            "no GPU adapter found: install a Vulkan driver for your GPU, or Mesa's software driver (Debian and Ubuntu: \
             mesa-vulkan-drivers; Fedora: mesa-vulkan-drivers; Arch: vulkan-swrast)"
                .into(),
        ));
    }
    let texts: Vec<String> = adapters.iter().map(|adapter| describe(&adapter.get_info())).collect();
    match pick(wish, &texts) {
        Some(index) => Ok(adapters.swap_remove(index)),
        None => {
            let list: Vec<String> = texts.iter().enumerate().map(|(i, text)| format!("{i}: {text}")).collect();
            Err(Error::NoAdapter(format!("no adapter is like \"{wish}\"; there are {}", list.join("; "))))
        }
    }
}

/// Index of the adapter that `wish` means: the first for `auto`, else by index, else by a part of its text.
fn pick(wish: &str, texts: &[String]) -> Option<usize> {
    if wish.is_empty() || wish.eq_ignore_ascii_case("auto") {
        return Some(0);
    }
    if let Ok(index) = wish.parse::<usize>() {
        return (index < texts.len()).then_some(index);
    }
    texts.iter().position(|text| text.to_lowercase().contains(&wish.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_an_index_or_part_of_a_text() {
        let texts = ["NVIDIA X, Vulkan, discrete GPU", "llvmpipe, Vulkan, software", "llvmpipe, Gl, software"];
        let texts = texts.map(String::from);
        for (wish, expected) in
            [("auto", Some(0)), ("1", Some(1)), ("3", None), ("gl", Some(2)), ("LLVM", Some(1)), ("amd", None)]
        {
            assert_eq!(pick(wish, &texts), expected, "{wish}");
        }
    }

    #[test]
    fn software_comes_last() {
        assert!(kind_rank(DeviceType::Other) < kind_rank(DeviceType::Cpu));
        assert!(backend_rank(Backend::Vulkan) < backend_rank(Backend::Gl));
    }
}
