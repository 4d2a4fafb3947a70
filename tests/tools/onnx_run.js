// Runs an ONNX model on raw little-endian float32 inputs and writes its outputs the same way.
// usage: node onnx_run.js MODEL INPUT OUTPUT BATCH (images a call)
// onnxruntime-node is found through NODE_PATH, or RHNAS_ONNXRUNTIME names its folder.
'use strict';
const fs = require('fs');
const ort = require(process.env.RHNAS_ONNXRUNTIME || 'onnxruntime-node');

async function main() {
  const [model, input, output, batch] = process.argv.slice(2);
  // One thread, nothing rewritten: what the file says is what runs.
  const options = {
    intraOpNumThreads: 1, interOpNumThreads: 1,
    graphOptimizationLevel: process.env.RHNAS_ONNX_OPTIMIZE || 'all'
  };
  const session = await ort.InferenceSession.create(model, options);
  const bytes = fs.readFileSync(input);
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const meta = session.inputMetadata[0];
  const dims = meta.shape.slice(1).map(Number);
  const size = dims.reduce((a, b) => a * b, 1);
  const count = values.length / size;
  if (!Number.isInteger(count)) throw new Error(`${values.length} values for images of ${size}`);
  const parts = [];
  for (let i = 0; i < count; i += Number(batch)) {
    const n = Math.min(Number(batch), count - i);
    const images = new ort.Tensor('float32', values.slice(i * size, (i + n) * size), [n, ...dims]);
    const result = await session.run({[session.inputNames[0]]: images});
    const logits = result[session.outputNames[0]].data;
    parts.push(Buffer.from(logits.buffer, logits.byteOffset, logits.byteLength));
  }
  fs.writeFileSync(output, Buffer.concat(parts));
}

main().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
