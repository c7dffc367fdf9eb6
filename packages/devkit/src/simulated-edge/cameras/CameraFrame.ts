/** Draws what a simulated camera sees at a moment: the scene, the camera's name and a clock. */
import { drawText } from "./BitmapFont.ts"
import { encodeJpeg } from "@edge-relay/conformance/JpegEncoder"
import { sceneAt } from "./Scene.ts"

type Colour = readonly [number, number, number]

class Canvas {
  readonly rgb: Uint8Array
  readonly width: number
  readonly height: number

  constructor(width: number, height: number) {
    this.width = width
    this.height = height
    this.rgb = new Uint8Array(width * height * 3)
  }

  fill(left: number, top: number, width: number, height: number, [r, g, b]: Colour) {
    const right = Math.min(this.width, Math.round(left + width))
    const bottom = Math.min(this.height, Math.round(top + height))
    for (let y = Math.max(0, Math.round(top)); y < bottom; y++) {
      for (let x = Math.max(0, Math.round(left)); x < right; x++) {
        const at = (y * this.width + x) * 3
        this.rgb[at] = r
        this.rgb[at + 1] = g
        this.rgb[at + 2] = b
      }
    }
  }

  text(text: string, left: number, top: number, scale: number, colour: Colour) {
    this.fill(left - scale, top - scale, text.length * 6 * scale + scale, 9 * scale, [16, 16, 16])
    drawText(text, (column, row) => this.fill(left + column * scale, top + row * scale, scale, scale, colour))
  }
}

/** One frame as JPEG. */
export const drawFrame = (
  camera: { readonly name: string; readonly width: number; readonly height: number },
  millis: number
): Uint8Array => {
  const { width, height } = camera
  const canvas = new Canvas(width, height)
  canvas.fill(0, 0, width, height * 0.5, [148, 178, 204])
  canvas.fill(0, height * 0.5, width, height * 0.5, [112, 116, 110])
  canvas.fill(0, height * 0.8, width, height * 0.04, [222, 214, 160])
  for (const { box, colour, label } of sceneAt(millis)) {
    const [left, top] = [box.x * width, box.y * height]
    canvas.fill(left, top, box.width * width, box.height * height, colour)
    if (label === "person")
      canvas.fill(left, top, box.width * width, box.height * height * 0.22, [224, 188, 160])
    if (label === "car") canvas.fill(left, top, box.width * width, box.height * height * 0.35, [60, 70, 84])
  }
  const scale = Math.max(1, Math.floor(width / 320))
  const clock = new Date(millis).toISOString().replace("T", " ").replace("Z", " UTC")
  canvas.text(clock, 6 * scale, 6 * scale, scale, [255, 255, 255])
  canvas.text(camera.name, 6 * scale, height - 14 * scale, scale, [255, 226, 120])
  return encodeJpeg(canvas)
}
