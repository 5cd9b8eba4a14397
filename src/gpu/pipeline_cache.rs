//! Compiled pipelines on disk, so that the next process need not compile them. wgpu has this for Vulkan only.

mod file;

use crate::files::checksum;
use file::CacheFile;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The folder `excite` in the user's cache directory: `$XDG_CACHE_HOME` or `~/.cache`, on macOS `~/Library/Caches`, on
/// Windows `%LOCALAPPDATA%`. For [`GpuOptions::pipeline_cache`](super::GpuOptions::pipeline_cache); nothing is made yet.
pub fn user_cache_dir() -> Option<PathBuf> {
    cache_dir(|name| std::env::var_os(name))
}

fn cache_dir(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name: &str, below: &str| {
        let folder = variable(name).map(PathBuf::from).filter(|folder| folder.is_absolute())?;
        Some(folder.join(below).join("excite"))
    };
    if cfg!(windows) {
        folder("LOCALAPPDATA", "")
    } else if cfg!(target_os = "macos") {
        folder("HOME", "Library/Caches")
    } else {
        folder("XDG_CACHE_HOME", "").or_else(|| folder("HOME", ".cache"))
    }
}

/// wgpu's cache of a device's pipelines and the file that it comes from and goes to.
#[derive(Debug)]
pub(super) struct PipelineCache {
    cache: wgpu::PipelineCache,
    file: CacheFile,
    /// Bytes that the file had.
    pub loaded: usize,
    /// Checksum of what the file has now.
    stored: Mutex<Option<u64>>,
}

impl PipelineCache {
    /// The adapter's pipelines in `folder`, or none yet. `None` where the device has no such caches, or the folder is
    /// none to trust.
    pub(super) fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo, folder: &Path) -> Option<Self> {
        let key = wgpu::util::pipeline_cache_key(info)?;
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let file = CacheFile::new(folder, &key, &identity(info))
            .inspect_err(|why| log::warn!("no pipelines are kept in {}: {why}", folder.display()))
            .ok()?;
        let data = file.read().unwrap_or_else(|why| {
            log::info!("{} is ignored and will be replaced: {why}", file.path().display());
            None
        });
        let loaded = data.as_ref().map_or(0, Vec::len);
        let stored = Mutex::new(data.as_deref().map(checksum));
        Some(Self { cache: create(device, data.as_deref()), file, loaded, stored })
    }

    /// For pipelines to be made with.
    pub(super) fn wgpu(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// Writes what has come since the file was read or written. That it can't is no error: the next process compiles
    /// then.
    pub(super) fn store(&self) {
        let Some(data) = self.cache.get_data() else { return };
        let sum = Some(checksum(&data));
        let mut stored = self.stored.lock().expect("no holder of this lock panics");
        if *stored == sum {
            return;
        }
        match self.file.write(&data) {
            Ok(()) => *stored = sum,
            Err(error) => log::info!("can't write {}: {error}", self.file.path().display()),
        }
    }
}

/// wgpu's major version, whose caches these are. A test compares it with `Cargo.toml`.
const WGPU: &str = "30";

/// All that must be the same for a cache to be of use.
fn identity(info: &wgpu::AdapterInfo) -> String {
    let wgpu::AdapterInfo { name, vendor, device, driver, driver_info, backend, .. } = info;
    let bits = usize::BITS;
    format!("wgpu {WGPU}, {backend}, {vendor:x}:{device:x}, {name}, {driver}, {driver_info}, {bits} bits")
}

#[allow(unsafe_code, reason = "its argument is below")]
fn create(device: &wgpu::Device, data: Option<&[u8]>) -> wgpu::PipelineCache {
    let descriptor = wgpu::PipelineCacheDescriptor { label: Some("excite"), data, fallback: true };
    // SAFETY: data must come from `get_data` of such a cache. What is in a file can't be proved; this is why it is
    // believed: it comes from `CacheFile::read` only, which takes a plain file that this user owns and nothing else may
    // write, in a folder of the same kind; its header says that `store` wrote it for this adapter, driver and version of
    // wgpu, and length and checksum say that it is whole. Who could forge one is this user, and could as well exchange
    // the driver that reads it. wgpu and the driver compare headers of their own once more. (On Windows, owner and
    // rights are not looked at: there the folder is the user's by default.)
    unsafe { device.create_pipeline_cache(&descriptor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn the_cache_is_where_users_have_theirs() {
        for (xdg, home, expected) in [
            (Some("/cache"), Some("/home/a"), Some("/cache/excite")),
            (None, Some("/home/a"), Some("/home/a/.cache/excite")),
            (Some("relative"), Some("/home/a"), Some("/home/a/.cache/excite")),
            (Some(""), Some(""), None),
            (None, None, None),
        ] {
            let variable = |name: &str| match name {
                "XDG_CACHE_HOME" => xdg.map(OsString::from),
                "HOME" => home.map(OsString::from),
                _ => None,
            };
            assert_eq!(cache_dir(variable), expected.map(PathBuf::from), "{xdg:?}, {home:?}");
        }
    }

    #[test]
    fn the_version_is_that_of_the_dependency() {
        let manifest = include_str!("../../Cargo.toml");
        assert!(manifest.contains(&format!("\nwgpu = \"{WGPU}.")), "WGPU is not the version in Cargo.toml");
    }
}
