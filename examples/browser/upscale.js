// An exported network in the browser: pixels in, larger pixels out.

import * as ort from "onnxruntime-web";

ort.env.wasm.wasmPaths = new URL("node_modules/onnxruntime-web/dist/", import.meta.url).href;

/** Fetch a file of `sr-zoo export` and make it ready to run. */
export function load(url) {
  return ort.InferenceSession.create(url, { executionProviders: ["wasm"] });
}

/** Enlarge ImageData; the result is opaque. */
export async function upscale(session, image) {
  const { output } = await session.run({ input: toTensor(image) });
  return toImage(output);
}

/** RGBA, pixel by pixel, to planes of red, green and blue in [0, 1]. */
function toTensor({ data, width, height }) {
  const area = width * height;
  const planes = new Float32Array(3 * area);
  for (let pixel = 0; pixel < area; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      planes[channel * area + pixel] = data[4 * pixel + channel] / 255;
    }
  }
  return new ort.Tensor("float32", planes, [1, 3, height, width]);
}

/** The way back; ImageData rounds, and clamps what lies outside [0, 1]. */
function toImage({ data, dims: [, , height, width] }) {
  const area = width * height;
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < area; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * pixel + channel] = 255 * data[channel * area + pixel];
    }
    image.data[4 * pixel + 3] = 255;
  }
  return image;
}
