//! `excite devices`: the adapters of this machine.

use crate::Failure;
use crate::common::heading;
use crate::{common, terminal};
use excite::gpu::AdapterDescription;
use excite::wgpu;
use serde_json::json;
use std::io::Write;

/// List the adapters of this machine, best first
#[derive(clap::Args)]
#[command(after_help = "Examples:
  excite devices
  EXCITE_DEVICE=vulkan excite classify photo.jpg --model seresnet50")]
pub struct Args {
    /// Print a JSON document.
    #[arg(long, help_heading = heading::OUTPUT)]
    json: bool,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let adapters = common::adapters()?;
    if args.json {
        let rows: Vec<_> = adapters.iter().map(document).collect();
        return Ok(terminal::write_json(out, &json!({ "adapters": rows }))?);
    }
    for adapter in &adapters {
        writeln!(out, "{}: {}", adapter.index, adapter.text)?;
        writeln!(out, "   {}", details(adapter))?;
    }
    if adapters.iter().all(is_software) {
        writeln!(out, "There is no GPU here, or no driver for it: these adapters compute on the CPU.")?;
    }
    Ok(())
}

fn is_software(adapter: &AdapterDescription) -> bool {
    adapter.info.device_type == wgpu::DeviceType::Cpu
}

/// What decides about plans and timing.
fn details(adapter: &AdapterDescription) -> String {
    let has = |feature, yes: &'static str, no: &'static str| if adapter.features.contains(feature) { yes } else { no };
    let limits = &adapter.limits;
    format!(
        "{}, {}, {}, {}, bindings up to {} MiB, workgroups of up to {} with {} KiB of memory",
        has(wgpu::Features::SUBGROUP, "subgroups", "no subgroups"),
        has(wgpu::Features::SHADER_F16, "half precision", "no half precision"),
        match sizes(adapter).as_slice() {
            [] => "no cooperative matrices".to_string(),
            sizes => format!("cooperative matrices of {}", sizes.join(" and ")),
        },
        has(wgpu::Features::TIMESTAMP_QUERY, "timestamps", "no timestamps"),
        limits.max_storage_buffer_binding_size >> 20,
        limits.max_compute_invocations_per_workgroup,
        limits.max_compute_workgroup_storage_size >> 10,
    )
}

/// Sizes of the cooperative matrices that kernels could use.
fn sizes(adapter: &AdapterDescription) -> Vec<String> {
    adapter.cooperative.iter().map(ToString::to_string).collect()
}

fn document(adapter: &AdapterDescription) -> serde_json::Value {
    let (info, limits) = (&adapter.info, &adapter.limits);
    json!({
        "index": adapter.index,
        "text": adapter.text,
        "name": info.name,
        "backend": info.backend.to_string(),
        "kind": format!("{:?}", info.device_type),
        "software": is_software(adapter),
        "driver": info.driver,
        "driver_info": info.driver_info,
        "subgroups": adapter.features.contains(wgpu::Features::SUBGROUP),
        "half_precision": adapter.features.contains(wgpu::Features::SHADER_F16),
        "cooperative_matrices": sizes(adapter),
        "timestamps": adapter.features.contains(wgpu::Features::TIMESTAMP_QUERY),
        "limits": {
            "max_buffer_size": limits.max_buffer_size,
            "max_storage_buffer_binding_size": limits.max_storage_buffer_binding_size,
            "max_storage_buffers_per_shader_stage": limits.max_storage_buffers_per_shader_stage,
            "max_compute_workgroups_per_dimension": limits.max_compute_workgroups_per_dimension,
            "max_compute_invocations_per_workgroup": limits.max_compute_invocations_per_workgroup,
            "max_compute_workgroup_storage_size": limits.max_compute_workgroup_storage_size,
        },
    })
}
