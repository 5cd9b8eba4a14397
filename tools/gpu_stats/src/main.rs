//! Compiles SPIR-V by the Vulkan driver that is there, and prints what the driver says of it.
//!
//! `gpu_stats < list.json`: a list of `{"spv": path, "bindings": [{"binding": number, "type": "uniform" or another}]}`. Prints `{"device", "driver", "pipelines": [{statistic: value, "listing": text}]}` in the list's order.
//! A pipeline that the driver refuses is `{"error"}`.

use ash::{khr, vk};
use serde_json::{Map, Value, json};
use std::error::Error;
use std::ffi::CStr;

fn main() -> Result<(), Box<dyn Error>> {
    let pipelines: Vec<Value> = serde_json::from_reader(std::io::stdin())?;
    // SAFETY: the calls follow Vulkan's rules as `Driver` states them.
    let driver = unsafe { Driver::open()? };
    let results: Vec<Value> = pipelines
        .iter()
        .map(|pipeline| {
            let words = std::fs::read(pipeline["spv"].as_str().ok_or("a pipeline has no spv")?)?;
            let words: Vec<u32> = words.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
            let bindings = pipeline["bindings"].as_array().ok_or("a pipeline has no bindings")?;
            let bindings: Vec<_> = bindings.iter().map(binding).collect();
            // SAFETY: the SPIR-V is naga's, and valid; the layout has each binding that it may use.
            let found = unsafe { driver.compile(&words, &bindings) };
            Ok(found.unwrap_or_else(|error| json!({ "error": error.to_string() })))
        })
        .collect::<Result<_, Box<dyn Error>>>()?;
    println!("{}", json!({ "device": driver.device_name, "driver": driver.driver_name, "pipelines": results }));
    Ok(())
}

/// A device of the first adapter. It lives until the process ends.
struct Driver {
    _entry: ash::Entry,
    device: ash::Device,
    executables: khr::pipeline_executable_properties::Device,
    device_name: String,
    driver_name: String,
}

impl Driver {
    unsafe fn open() -> Result<Self, Box<dyn Error>> {
        let entry = unsafe { ash::Entry::load()? };
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let info = vk::InstanceCreateInfo::default().application_info(&application);
        let instance = unsafe { entry.create_instance(&info, None)? };
        let physical = *unsafe { instance.enumerate_physical_devices()? }.first().ok_or("no Vulkan adapter")?;
        let mut driver = vk::PhysicalDeviceDriverProperties::default();
        let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut driver);
        unsafe { instance.get_physical_device_properties2(physical, &mut properties) };
        let device_name = text(&properties.properties.device_name);
        let driver_name = format!("{} {}", text(&driver.driver_name), text(&driver.driver_info));
        // Everything of Vulkan 1.3 that it has.
        let mut v11 = vk::PhysicalDeviceVulkan11Features::default();
        let mut v12 = vk::PhysicalDeviceVulkan12Features::default();
        let mut v13 = vk::PhysicalDeviceVulkan13Features::default();
        let mut features =
            vk::PhysicalDeviceFeatures2::default().push_next(&mut v11).push_next(&mut v12).push_next(&mut v13);
        unsafe { instance.get_physical_device_features2(physical, &mut features) };
        let core = features.features;
        let extensions = unsafe { instance.enumerate_device_extension_properties(physical)? };
        let matrices =
            extensions.iter().any(|e| text(&e.extension_name).as_bytes() == khr::cooperative_matrix::NAME.to_bytes());
        let mut names = vec![khr::pipeline_executable_properties::NAME.as_ptr()];
        names.extend(matrices.then_some(khr::cooperative_matrix::NAME.as_ptr()));
        let mut asked =
            vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
        let mut cooperative = vk::PhysicalDeviceCooperativeMatrixFeaturesKHR::default().cooperative_matrix(true);
        let queues = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
        let mut info = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&names)
            .enabled_features(&core);
        // They are a list already, of the question above.
        (v11.p_next, v12.p_next, v13.p_next) = (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        info = info.push_next(&mut v11).push_next(&mut v12).push_next(&mut v13).push_next(&mut asked);
        if matrices {
            info = info.push_next(&mut cooperative);
        }
        let device = unsafe { instance.create_device(physical, &info, None)? };
        let executables = khr::pipeline_executable_properties::Device::new(&instance, &device);
        Ok(Self { _entry: entry, device, executables, device_name, driver_name })
    }

    unsafe fn compile(&self, words: &[u32], bindings: &[vk::DescriptorSetLayoutBinding]) -> Result<Value, vk::Result> {
        let device = &self.device;
        let module = unsafe { device.create_shader_module(&vk::ShaderModuleCreateInfo::default().code(words), None)? };
        let set = vk::DescriptorSetLayoutCreateInfo::default().bindings(bindings);
        let sets = [unsafe { device.create_descriptor_set_layout(&set, None)? }];
        let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
        let layout = unsafe { device.create_pipeline_layout(&layout, None)? };
        // As wgpu-hal's Vulkan backend asks for pipelines, where it has subgroups.
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .flags(vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE)
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(module)
            .name(c"main");
        let keep = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
            | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
        let info = [vk::ComputePipelineCreateInfo::default().layout(layout).stage(stage).flags(keep)];
        let made = unsafe { device.create_compute_pipelines(vk::PipelineCache::null(), &info, None) };
        let pipeline = made.map_err(|(_, error)| error)?[0];
        let mut found = unsafe { self.statistics(pipeline)? };
        found.insert("listing".into(), json!(unsafe { self.listing(pipeline)? }));
        unsafe { device.destroy_pipeline(pipeline, None) };
        Ok(Value::Object(found))
    }

    unsafe fn statistics(&self, pipeline: vk::Pipeline) -> Result<Map<String, Value>, vk::Result> {
        // A compute pipeline is one executable.
        let executable = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
        let mut found = Map::new();
        for statistic in unsafe { self.executables.get_pipeline_executable_statistics(&executable)? } {
            use vk::PipelineExecutableStatisticFormatKHR as Format;
            // SAFETY: the format says which field it is.
            let value = unsafe {
                match statistic.format {
                    Format::UINT64 => json!(statistic.value.u64),
                    Format::INT64 => json!(statistic.value.i64),
                    Format::FLOAT64 => json!(statistic.value.f64),
                    _ => json!(statistic.value.b32 != 0),
                }
            };
            found.insert(text(&statistic.name), value);
        }
        Ok(found)
    }

    /// The last of the driver's representations: its assembly.
    unsafe fn listing(&self, pipeline: vk::Pipeline) -> Result<String, vk::Result> {
        let executable = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
        let get = self.executables.fp().get_pipeline_executable_internal_representations_khr;
        let device = self.device.handle();
        let mut count = 0;
        unsafe { get(device, &executable, &mut count, std::ptr::null_mut()).result()? };
        let mut all = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
        // Sizes first, then texts.
        unsafe { get(device, &executable, &mut count, all.as_mut_ptr()).result()? };
        let mut texts: Vec<Vec<u8>> = all.iter().map(|one| vec![0; one.data_size]).collect();
        for (one, text) in all.iter_mut().zip(&mut texts) {
            one.p_data = text.as_mut_ptr().cast();
        }
        unsafe { get(device, &executable, &mut count, all.as_mut_ptr()).result()? };
        let last = texts.pop().unwrap_or_default();
        Ok(String::from_utf8_lossy(&last).trim_end_matches('\0').into())
    }
}

fn binding(described: &Value) -> vk::DescriptorSetLayoutBinding<'static> {
    let uniform = described["type"] == "uniform";
    let kind = if uniform { vk::DescriptorType::UNIFORM_BUFFER } else { vk::DescriptorType::STORAGE_BUFFER };
    vk::DescriptorSetLayoutBinding::default()
        .binding(described["binding"].as_u64().unwrap_or_default() as u32)
        .descriptor_type(kind)
        .descriptor_count(1)
        .stage_flags(vk::ShaderStageFlags::COMPUTE)
}

/// A string of Vulkan's.
fn text(characters: &[std::ffi::c_char]) -> String {
    // SAFETY: a char is a byte, whichever sign it has.
    let bytes = unsafe { std::slice::from_raw_parts(characters.as_ptr().cast::<u8>(), characters.len()) };
    CStr::from_bytes_until_nul(bytes).map_or_else(|_| String::new(), |text| text.to_string_lossy().into())
}
