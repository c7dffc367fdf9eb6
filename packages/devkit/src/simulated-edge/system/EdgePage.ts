/**
 * The page at `/`: what a person sees who opens the edge through the gateway. All its links are relative, so that it
 * works under any prefix. It may run in a sandbox, where its requests carry no cookie: the camera's picture is in the
 * page itself, the live stream takes its place where it can be had, and where not the page loads itself anew.
 */
import type { Camera } from "@edge-relay/domain/edge-api/Cameras"
import type { Device } from "@edge-relay/domain/edge-api/Devices"
import type { EdgeInfo } from "@edge-relay/domain/edge-api/System"
import { DateTime, Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { Accelerators } from "../devices/Accelerators.ts"
import { Cameras } from "../cameras/Cameras.ts"
import { Machine } from "./Machine.ts"

export const EdgePage = Layer.unwrap(
  Effect.gen(function* () {
    const machine = yield* Machine
    const accelerators = yield* Accelerators
    const cameras = yield* Cameras
    return HttpRouter.add(
      "GET",
      "/",
      Effect.gen(function* () {
        const camera = (yield* cameras.list).find(({ running }) => running)
        const picture = camera && (yield* Effect.orElseSucceed(cameras.snapshot(camera.id), () => undefined))
        const html = render(yield* machine.info, yield* accelerators.list, camera, picture)
        return HttpServerResponse.setHeader(
          HttpServerResponse.text(html, { contentType: "text/html; charset=utf-8" }),
          "cache-control",
          "no-store"
        )
      })
    )
  })
)

const render = (
  info: EdgeInfo,
  devices: ReadonlyArray<Device>,
  camera: Camera | undefined,
  picture: Uint8Array | undefined
) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(info.name)}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; color: #1c2430 }
img { max-width: 100%; border-radius: 6px; background: #e6e9ee }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #dde2e8 }
</style>
</head>
<body>
<h1>${escape(info.name)}</h1>
<p>${escape(info.vendor)} ${escape(info.model)}, up since ${DateTime.formatIso(info.startedAt)}</p>
<h2>Camera</h2>
${pictureOf(camera, picture)}
<h2>Devices</h2>
<table>
<tr><th>Id</th><th>Model</th><th>Bus</th><th>State</th><th>Flashed with</th></tr>
${devices.map(rowOf).join("\n")}
</table>
<p><a href="system/info">System</a> · <a href="system/metrics">Metrics</a> · <a href="devices">Devices</a> ·
<a href="cameras">Cameras</a> · <a href="media">Media</a> · <a href="models">Models</a> · <a href="clusters">Clusters</a></p>
</body>
</html>
`

const rowOf = (device: Device) =>
  `<tr><td>${[
    device.id,
    `${device.vendor} ${device.model}`,
    device.bus,
    device.state,
    device.modelId ?? "nothing"
  ]
    .map(escape)
    .join("</td><td>")}</td></tr>`

const pictureOf = (camera: Camera | undefined, picture: Uint8Array | undefined) =>
  camera === undefined || picture === undefined
    ? "<p>No camera is running.</p>"
    : `<p><img id="camera" alt="${escape(camera.name)}" width="${camera.width}" height="${camera.height}"
src="data:image/jpeg;base64,${Buffer.from(picture).toString("base64")}"></p>
<script>
const live = new Image()
live.onload = () => { document.getElementById("camera").src = live.src }
live.onerror = () => setTimeout(() => location.reload(), 2000)
live.src = "cameras/${camera.id}/stream"
</script>`

const escape = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
