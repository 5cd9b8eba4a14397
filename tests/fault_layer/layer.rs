//! A Vulkan layer that fails one call, as drivers do: `EXCITE_FAULT=wait:3` fails the third wait of the process.
//!
//! | kind | call | what it returns |
//! |---|---|---|
//! | `allocation` | `vkAllocateMemory` | `VK_ERROR_OUT_OF_DEVICE_MEMORY` |
//! | `map` | `vkMapMemory` | `VK_ERROR_MEMORY_MAP_FAILED` |
//! | `pipeline` | `vkCreateComputePipelines` | `VK_ERROR_OUT_OF_DEVICE_MEMORY` |
//! | `submit` | `vkQueueSubmit` | `VK_ERROR_DEVICE_LOST`, and so for every later submission and wait of the device |
//! | `wait` | `vkWaitSemaphores`, `vkWaitForFences` | the same |
//!
//! `tests/gpu/faults.rs` builds it with `rustc` alone and has the Vulkan loader load it, so it is one file without
//! dependencies: the few of Vulkan's structs that a layer reads are written out here.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::mem::transmute;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

type Handle = *mut c_void;
type Function = unsafe extern "system" fn();
type GetProcAddr = unsafe extern "system" fn(Handle, *const c_char) -> Option<Function>;

const OUT_OF_DEVICE_MEMORY: i32 = -2;
const INITIALIZATION_FAILED: i32 = -3;
const DEVICE_LOST: i32 = -4;
const MEMORY_MAP_FAILED: i32 = -5;

const LOADER_INSTANCE_CREATE_INFO: i32 = 47;
const LOADER_DEVICE_CREATE_INFO: i32 = 48;
const LAYER_LINK_INFO: i32 = 0;

/// `VkNegotiateLayerInterface`
#[repr(C)]
pub struct Negotiation {
    s_type: i32,
    next: *mut c_void,
    version: u32,
    get_instance_proc_addr: Option<GetProcAddr>,
    get_device_proc_addr: Option<GetProcAddr>,
    get_physical_device_proc_addr: Option<GetProcAddr>,
}

/// The beginning of every struct that `pNext` chains, and `VkLayerInstanceCreateInfo` or `VkLayerDeviceCreateInfo` where
/// `s_type` says so.
#[repr(C)]
struct Chained {
    s_type: i32,
    next: *mut Chained,
    function: i32,
    link: *mut Link,
}

/// `VkLayerInstanceLink` or `VkLayerDeviceLink`: the next layer or the driver.
#[repr(C)]
struct Link {
    next: *mut Link,
    get_instance_proc_addr: GetProcAddr,
    /// Only of devices.
    get_device_proc_addr: GetProcAddr,
}

/// What this layer knows of a device, by the key that the loader gives it and its queues.
struct Device {
    handle: usize,
    next: GetProcAddr,
    lost: bool,
}

static DEVICES: LazyLock<Mutex<HashMap<usize, Device>>> = LazyLock::new(Mutex::default);
/// Instances and the next `vkGetInstanceProcAddr` of each, by the key that the loader gives them and their adapters.
static INSTANCES: LazyLock<Mutex<HashMap<usize, (usize, GetProcAddr)>>> = LazyLock::new(Mutex::default);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls of a kind so far, and the one to fail.
struct Kind {
    name: &'static str,
    error: i32,
    calls: AtomicU64,
}

impl Kind {
    const fn new(name: &'static str, error: i32) -> Self {
        Self { name, error, calls: AtomicU64::new(0) }
    }

    /// The error of this call, if it is the one. Says so on standard error.
    fn fault(&self) -> Option<i32> {
        static WANTED: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
            let fault = std::env::var("EXCITE_FAULT").ok()?;
            let (kind, number) = fault.split_once(':')?;
            Some((kind.to_owned(), number.parse().ok()?))
        });
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let (kind, number) = WANTED.as_ref()?;
        (kind == self.name && call == *number).then(|| {
            eprintln!("fault: {} {call}", self.name);
            self.error
        })
    }
}

static ALLOCATION: Kind = Kind::new("allocation", OUT_OF_DEVICE_MEMORY);
static MAP: Kind = Kind::new("map", MEMORY_MAP_FAILED);
static PIPELINE: Kind = Kind::new("pipeline", OUT_OF_DEVICE_MEMORY);
static SUBMIT: Kind = Kind::new("submit", DEVICE_LOST);
static WAIT: Kind = Kind::new("wait", DEVICE_LOST);

/// What the loader tells devices and instances apart by, and what a device and its queues share.
unsafe fn key(handle: Handle) -> usize {
    // SAFETY: a dispatchable handle points to an object that begins with the loader's table.
    unsafe { *handle.cast::<usize>() }
}

/// The next function of this name for a device or one of its queues, or the error to return in its place.
unsafe fn next(kind: &Kind, handle: Handle, name: &CStr) -> Result<Function, i32> {
    let fault = kind.fault();
    let mut devices = lock(&DEVICES);
    // SAFETY: Vulkan gives this layer handles of devices and queues that are alive.
    let device = devices.get_mut(&unsafe { key(handle) }).ok_or(INITIALIZATION_FAILED)?;
    device.lost |= fault == Some(DEVICE_LOST);
    let lost = device.lost && kind.error == DEVICE_LOST;
    if let Some(error) = fault.or(lost.then_some(DEVICE_LOST)) {
        return Err(error);
    }
    // SAFETY: it is the next layer's or the driver's, for the device that it was given with.
    unsafe { (device.next)(device.handle as Handle, name.as_ptr()) }.ok_or(INITIALIZATION_FAILED)
}

/// Functions of devices and queues that may fail: each passes its arguments on, or returns the fault.
macro_rules! may_fail {
    ($($function:ident = $name:literal, $kind:ident, ($($argument:ident: $type:ty),*);)*) => {
        $(unsafe extern "system" fn $function(handle: Handle, $($argument: $type),*) -> i32 {
            // SAFETY: the loader calls it with what Vulkan says, and what is found by the name takes the same.
            unsafe {
                match next(&$kind, handle, $name) {
                    Ok(next) => transmute::<Function, unsafe extern "system" fn(Handle, $($type),*) -> i32>(next)(handle, $($argument),*),
                    Err(error) => error,
                }
            }
        })*

        fn failing(name: &CStr) -> Option<Function> {
            // SAFETY: callers cast it back to what its name says.
            $(if name == $name {
                return Some(unsafe { transmute::<unsafe extern "system" fn(Handle, $($type),*) -> i32, Function>($function) });
            })*
            None
        }
    };
}

may_fail! {
    allocate_memory = c"vkAllocateMemory", ALLOCATION, (info: *const c_void, allocator: *const c_void, memory: *mut u64);
    map_memory = c"vkMapMemory", MAP, (memory: u64, offset: u64, size: u64, flags: u32, data: *mut *mut c_void);
    create_compute_pipelines = c"vkCreateComputePipelines", PIPELINE,
        (cache: u64, count: u32, infos: *const c_void, allocator: *const c_void, pipelines: *mut u64);
    queue_submit = c"vkQueueSubmit", SUBMIT, (count: u32, infos: *const c_void, fence: u64);
    wait_semaphores = c"vkWaitSemaphores", WAIT, (info: *const c_void, timeout: u64);
    wait_semaphores_khr = c"vkWaitSemaphoresKHR", WAIT, (info: *const c_void, timeout: u64);
    wait_for_fences = c"vkWaitForFences", WAIT, (count: u32, fences: *const u64, all: u32, timeout: u64);
}

/// The link to the next layer in what an instance or a device is made from; the chain is left as that layer wants it.
unsafe fn take_link(info: *const c_void, s_type: i32) -> Option<*mut Link> {
    // SAFETY: the loader chains such a struct for every layer.
    unsafe {
        let mut chained = (*info.cast::<Chained>()).next;
        while !chained.is_null() {
            if (*chained).s_type == s_type && (*chained).function == LAYER_LINK_INFO {
                let link = (*chained).link;
                (*chained).link = (*link).next;
                return Some(link);
            }
            chained = (*chained).next;
        }
    }
    None
}

unsafe extern "system" fn create_instance(info: *const c_void, allocator: *const c_void, instance: *mut Handle) -> i32 {
    type CreateInstance = unsafe extern "system" fn(*const c_void, *const c_void, *mut Handle) -> i32;
    // SAFETY: as the loader's interface for layers has it.
    unsafe {
        let Some(link) = take_link(info, LOADER_INSTANCE_CREATE_INFO) else { return INITIALIZATION_FAILED };
        let get = (*link).get_instance_proc_addr;
        let Some(create) = get(std::ptr::null_mut(), c"vkCreateInstance".as_ptr()) else {
            return INITIALIZATION_FAILED;
        };
        let result = transmute::<Function, CreateInstance>(create)(info, allocator, instance);
        if result == 0 {
            lock(&INSTANCES).insert(key(*instance), (*instance as usize, get));
        }
        result
    }
}

unsafe extern "system" fn create_device(
    physical: Handle,
    info: *const c_void,
    allocator: *const c_void,
    device: *mut Handle,
) -> i32 {
    type CreateDevice = unsafe extern "system" fn(Handle, *const c_void, *const c_void, *mut Handle) -> i32;
    // SAFETY: as the loader's interface for layers has it.
    unsafe {
        let Some(link) = take_link(info, LOADER_DEVICE_CREATE_INFO) else { return INITIALIZATION_FAILED };
        let next = (*link).get_device_proc_addr;
        let instance = lock(&INSTANCES).get(&key(physical)).map_or(0, |(instance, _)| *instance);
        let Some(create) = ((*link).get_instance_proc_addr)(instance as Handle, c"vkCreateDevice".as_ptr()) else {
            return INITIALIZATION_FAILED;
        };
        let result = transmute::<Function, CreateDevice>(create)(physical, info, allocator, device);
        if result == 0 {
            lock(&DEVICES).insert(key(*device), Device { handle: *device as usize, next, lost: false });
        }
        result
    }
}

unsafe extern "system" fn get_device_proc_addr(device: Handle, name: *const c_char) -> Option<Function> {
    // SAFETY: the loader asks with a device and a name.
    let (name, key) = unsafe { (CStr::from_ptr(name), key(device)) };
    let next = lock(&DEVICES).get(&key).map(|device| device.next)?;
    // SAFETY: it is the next layer's or the driver's, for this device.
    let found = unsafe { next(device, name.as_ptr()) }?;
    Some(own(name).unwrap_or(found))
}

unsafe extern "system" fn get_instance_proc_addr(instance: Handle, name: *const c_char) -> Option<Function> {
    // SAFETY: the loader asks with a name.
    let name = unsafe { CStr::from_ptr(name) };
    if let Some(own) = own(name) {
        return Some(own);
    }
    if instance.is_null() {
        return None;
    }
    // SAFETY: the loader asks with an instance.
    let (_, next) = lock(&INSTANCES).get(&unsafe { key(instance) }).copied()?;
    // SAFETY: it is the next layer's or the driver's, for this instance.
    unsafe { next(instance, name.as_ptr()) }
}

/// This layer's functions by name.
fn own(name: &CStr) -> Option<Function> {
    type CreateInstance = unsafe extern "system" fn(*const c_void, *const c_void, *mut Handle) -> i32;
    type CreateDevice = unsafe extern "system" fn(Handle, *const c_void, *const c_void, *mut Handle) -> i32;
    // SAFETY: callers cast it back to what its name says.
    unsafe {
        Some(match name.to_bytes() {
            b"vkCreateInstance" => transmute::<CreateInstance, Function>(create_instance),
            b"vkCreateDevice" => transmute::<CreateDevice, Function>(create_device),
            b"vkGetInstanceProcAddr" => transmute::<GetProcAddr, Function>(get_instance_proc_addr),
            b"vkGetDeviceProcAddr" => transmute::<GetProcAddr, Function>(get_device_proc_addr),
            _ => return failing(name),
        })
    }
}

/// What the loader calls first.
///
/// # Safety
/// `negotiation` is the loader's.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vkNegotiateLoaderLayerInterfaceVersion(negotiation: *mut Negotiation) -> i32 {
    // SAFETY: the loader gives a struct of its own.
    let negotiation = unsafe { &mut *negotiation };
    negotiation.version = 2;
    negotiation.get_instance_proc_addr = Some(get_instance_proc_addr);
    negotiation.get_device_proc_addr = Some(get_device_proc_addr);
    negotiation.get_physical_device_proc_addr = None;
    0
}
