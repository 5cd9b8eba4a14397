#!/bin/sh
# Runs a part of the GPU tests under Vulkan's validation layer with its synchronisation checks, and fails on any message.
#
# The layer is Debian's package vulkan-validationlayers; `tools/setup.sh` installs it where CI is set. It says at its start
# that it is there and what it checks: without that line the run fails, too. Needs a Vulkan adapter.
set -eu
cd "$(dirname "$0")/.."

# Runs in every way, a device lost on purpose, memory let go, the stand-alone block.
PARTS=${*:-"runs/ loss/ start/batch_sizes start/in_flight block/"}

folder=${CARGO_TARGET_DIR:-target}/validation
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
log=$folder/log
# Older layers read the list of enables, newer ones the setting by its own name. A file would be begun anew by every instance.
cat >"$folder/vk_layer_settings.txt" <<SETTINGS
khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.log_filename = stdout
khronos_validation.report_flags = error,warn,perf,info
khronos_validation.enables = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT
khronos_validation.validate_sync = true
SETTINGS

export VK_LAYER_SETTINGS_PATH="$folder/vk_layer_settings.txt"
export VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation
export EXCITE_DEVICE=vulkan WGPU_BACKEND=vulkan
# Shaders with debug information name WGSL as their language, which layers older than it take for an error.
export WGPU_DEBUG=0

failed=
: >"$log"
for part in $PARTS; do
    cargo test --all-features --test gpu -- "$part" >"$folder/part" 2>&1 || failed=1
    cat "$folder/part"
    cat "$folder/part" >>"$log"
    grep -q '^test .*\.\.\. ok' "$folder/part" || {
        echo "validation: no test ran of $part"
        failed=1
    }
    grep -q 'SYNCHRONIZATION_VALIDATION' "$folder/part" || {
        echo "validation: the layer was not there, or without its synchronisation checks, for $part"
        failed=1
    }
done

messages=$(grep -E 'Validation (Error|Warning|Performance Warning|Information)' "$log" | grep -Evi 'status-message' || true)
if [ -n "$messages" ]; then
    printf 'validation: the layer has something to say:\n%s\n' "$messages"
    exit 1
fi
[ -z "$failed" ] || exit 1
echo "validation: no message"
