//! The Vulkan layer of `tests/fault_layer`, for the processes that are to meet a fault.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Its name, for `VK_INSTANCE_LAYERS`.
pub const LAYER: &str = "VK_LAYER_EXCITE_fault";

/// Builds it by `rustc` alone and gives the folder with it and its manifest, for `VK_LAYER_PATH`.
///
/// # Errors
/// There is no `rustc`, or it can't build it.
pub fn build() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fault_layer");
    fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    // Another run of these tests may have the old one loaded: it is replaced as a whole.
    let library = folder.join("libfault_layer.so");
    let new = folder.join(format!("libfault_layer_{}.so", std::process::id()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fault_layer/layer.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--edition", "2024", "--crate-type", "cdylib", "-o"]).arg(&new).arg(&source);
    // The loader unloads layers with the last instance, and calls are counted for the whole process.
    command.args(["-C", "link-arg=-Wl,-z,nodelete"]);
    let built = command.output().map_err(|e| format!("rustc can't build the layer: {e}"))?;
    if !built.status.success() {
        return Err(format!("rustc can't build the layer: {}", String::from_utf8_lossy(&built.stderr)));
    }
    fs::rename(&new, &library).map_err(|e| e.to_string())?;
    let manifest = serde_json::json!({ "file_format_version": "1.2.0", "layer": {
        "name": LAYER, "type": "GLOBAL", "library_path": library, "api_version": "1.3.0",
        "implementation_version": "1", "description": "fails one call",
    } });
    fs::write(folder.join("fault_layer.json"), manifest.to_string()).map_err(|e| e.to_string())?;
    Ok(folder)
}
