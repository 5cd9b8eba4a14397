"""IREE through Vulkan."""

import importlib.metadata
import types

import iree.compiler as compiler
import iree.runtime as runtime
from iree.compiler.tools.import_onnx import __main__ as import_onnx
from protocol import serve

# `to_host` imports NumPy's memory, which drivers that want whole pages refuse; else it takes a staging buffer.
runtime.array_interop.BufferCompatibility = types.SimpleNamespace(IMPORTABLE=0)


def compiled(case):
    """The module's bytes, made once."""
    path = case.folder / "model.vmfb"
    if not path.exists():
        mlir = str(case.folder / "model.mlir")
        import_onnx.main(import_onnx.parse_arguments([case.onnx, "-o", mlir]))
        compiler.compile_file(
            mlir,
            input_type="onnx",
            target_backends=["vulkan-spirv"],
            extra_args=["--iree-opt-level=O3"],
            output_file=str(path),
        )
    return path.read_bytes()


def load(case):
    config = runtime.Config("vulkan")
    module = runtime.VmModule.copy_buffer(config.vm_instance, compiled(case))
    functions = runtime.load_vm_module(module, config)
    run = next(getattr(functions, name) for name in module.function_names if "__" not in name and "$" not in name)
    host = list(case.inputs().values())
    to_device = lambda: [runtime.asdevicearray(config.device, x) for x in host]  # noqa: E731
    inputs = to_device()

    def end_to_end():
        return run(*to_device()).to_host()

    about = f"IREE {importlib.metadata.version('iree-base-runtime')}, Vulkan"
    return about, end_to_end, {"end to end": end_to_end, "resident": lambda: run(*inputs)}


serve(load)
