//! A device that its driver loses, as after a hang: by the Vulkan layer of `tests/fault_layer`.

#[path = "../common/fault_layer.rs"]
mod fault_layer;

use crate::Case;
use crate::program::{Folder, Ran, digits, program, refused, run};
use fault_layer::LAYER;
use libtest_mimic::Failed;
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[Case::on_fault_layer("lost/device", device)];

/// One line, exit status 1, soon; and no half file.
fn device() -> Result<(), Failed> {
    let vulkan = |adapter: &excite::gpu::AdapterDescription| adapter.info.backend == excite::wgpu::Backend::Vulkan;
    let adapter = excite::gpu::adapters().into_iter().find(vulkan).ok_or("an adapter of Vulkan")?;
    let (layer, folder) = (fault_layer::build()?, Folder::new()?);
    let (path, output) = (&digits()?[3].0, folder.path("y.safetensors"));
    for (args, fault) in [
        (&["classify", path][..], "submit:1"),
        (&["classify", path], "wait:2"),
        (&["run", "digits", "--input", path, "--output", &output], "wait:1"),
        (&["bench", "digits"], "submit:9"),
    ] {
        let mut command = program();
        command.args(args).args(["--device", &adapter.index.to_string()]).env("EXCITE_FAULT", fault);
        command.env("VK_LAYER_PATH", &layer).env("VK_INSTANCE_LAYERS", LAYER);
        command.env_remove("VK_LOADER_LAYERS_ENABLE").env_remove("VK_LOADER_LAYERS_DISABLE");
        let start = Instant::now();
        let Ran { code, stdout, stderr } = run(&mut command)?;
        let took = start.elapsed();
        // What the layer says, and then what the program does.
        let (faults, stderr): (Vec<_>, Vec<_>) = stderr.lines().partition(|line| line.starts_with("fault: "));
        assert_eq!(faults.len(), 1, "{args:?} {fault}: {stderr:?}");
        let ran = Ran { code, stdout, stderr: stderr.join("\n") };
        refused(&ran, &["error: device \"", " is lost: "]).map_err(|e| format!("{args:?} {fault}: {e:?}"))?;
        assert!(took < Duration::from_secs(60), "{args:?} {fault}: {took:?}");
    }
    assert!(folder.names()?.is_empty());
    Ok(())
}
