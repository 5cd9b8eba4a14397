// Makes modules and pipelines by Dawn's null backend: Tint reads and checks them, and no driver is needed.
//
//     node tint.mjs DIRECTORY < requests > answers
//
// Reads `{sources, pipelines}` as JSON, writes `{sources: {label: error or null}, pipelines: {label: error or null}}`.
// Devices have the limits that every WebGPU adapter has, and the features that a source needs.
import { readFileSync } from 'node:fs';
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);
const gpu = create(['backend=null']);
const directory = process.argv[2];
const { sources, pipelines } = JSON.parse(readFileSync(0, 'utf8'));
const FEATURES = { f16: 'shader-f16', subgroups: 'subgroups' };

const devices = new Map();
async function deviceFor(needs) {
  const requiredFeatures = needs.map(need => FEATURES[need]);
  const key = requiredFeatures.join();
  if (!devices.has(key)) {
    const adapter = await gpu.requestAdapter();
    devices.set(key, await adapter.requestDevice({ requiredFeatures }));
  }
  return devices.get(key);
}

// The error of some work, or null.
async function errorOf(device, work) {
  device.pushErrorScope('internal');
  device.pushErrorScope('validation');
  let thrown = null;
  try {
    await work();
  } catch (error) {
    thrown = error.message;
  }
  const caught = [await device.popErrorScope(), await device.popErrorScope()];
  return thrown ?? caught.find(error => error)?.message ?? null;
}

const made = new Map();
const answers = { sources: {}, pipelines: {} };
for (const [label, { file, needs, bindings }] of Object.entries(sources)) {
  const device = await deviceFor(needs);
  const code = readFileSync(`${directory}/wgsl/${file}`, 'utf8');
  let module;
  const error = await errorOf(device, async () => {
    module = device.createShaderModule({ code, label });
    await module.getCompilationInfo();
  });
  answers.sources[label] = error;
  if (error) continue;
  const entries = bindings.map(({ binding, type }) => ({ binding, visibility: 4, buffer: { type } }));
  const layout = device.createPipelineLayout({ bindGroupLayouts: [device.createBindGroupLayout({ entries })] });
  made.set(label, { device, module, layout });
}
for (const { label, source, constants } of pipelines) {
  if (!made.has(source)) {
    answers.pipelines[label] = 'its source is refused';
    continue;
  }
  const { device, module, layout } = made.get(source);
  const compute = { module, entryPoint: 'main', constants };
  answers.pipelines[label] = await errorOf(device, () => device.createComputePipelineAsync({ layout, compute }));
}
process.stdout.write(JSON.stringify(answers), () => process.exit(0));
