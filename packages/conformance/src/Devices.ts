import { Device, DeviceScan } from "@edge-relay/domain/edge-api/Devices"
import { Flash, FlashEvent } from "@edge-relay/domain/edge-api/Firmware"
import { Effect, Stream } from "effect"
import { type Answer, ConformanceClient } from "./EdgeClient.ts"
import { events, expect, json, problem, within } from "./Expectations.ts"
import { checkList } from "./Lists.ts"
import { ConformanceReport, Differs } from "./Report.ts"

export const checkDevices = Effect.fn("checkDevices")(function* (destructive: boolean) {
  const client = yield* ConformanceClient
  const { check, skip } = yield* ConformanceReport
  const post = (path: string) =>
    Effect.flatMap(client.ask({ method: "POST", path }), (answer) => json(answer, 200, Device))

  yield* check(
    "devices.scan",
    "finds devices, and lists what it found",
    Effect.gen(function* () {
      const scan = yield* json(yield* client.ask({ method: "POST", path: "/devices/scan" }), 200, DeviceScan)
      const ids = scan.items.map(({ id }) => id)
      yield* expect(
        scan.found.every((id) => ids.includes(id)),
        `found ${scan.found.join(", ")}, of which not all are listed`
      )
    })
  )
  const devices = yield* checkList("devices.list", "/devices", Device)
  const [first] = devices
  if (first === undefined) {
    for (const name of ["get", "connect", "disconnect"])
      yield* skip(`devices.${name}`, name, "there is no device")
    return
  }
  yield* check(
    "devices.get",
    "gives each listed device",
    Effect.forEach(devices, ({ id }) =>
      Effect.gen(function* () {
        const device = yield* json(yield* client.ask({ method: "GET", path: `/devices/${id}` }), 200, Device)
        yield* expect(device.id === id, `asked for ${id}, got ${device.id}`)
      })
    )
  )
  // An idle device loses nothing by being let go and taken again.
  const idle = devices.find(({ state }) => state === "disconnected" || state === "connected")
  const chosen = idle ?? (destructive ? first : undefined)
  if (chosen === undefined) {
    yield* skip("devices.connect", "connects", "every device is in use; --destructive tries all the same")
    return yield* skip("devices.disconnect", "disconnects", "every device is in use")
  }
  const connect = Effect.flatMap(post(`/devices/${chosen.id}/connect`), (device) =>
    expect(device.state !== "disconnected", `the state is ${device.state}`)
  )
  const disconnect = Effect.flatMap(post(`/devices/${chosen.id}/disconnect`), (device) =>
    expect(device.state === "disconnected", `the state is ${device.state}`)
  )
  yield* check("devices.connect", "connects, and again without effect", Effect.andThen(connect, connect))
  yield* check(
    "devices.disconnect",
    "disconnects, and again without effect",
    Effect.andThen(disconnect, disconnect)
  )
  // As it was.
  if (chosen.state !== "disconnected") yield* Effect.ignore(connect)
})

export const checkFirmware = Effect.fn("checkFirmware")(function* (destructive: boolean) {
  const client = yield* ConformanceClient
  const { check, skip } = yield* ConformanceReport
  const [device] = yield* Effect.orElseSucceed(listed, () => [])
  if (device === undefined) {
    for (const name of ["flash", "status", "events"])
      yield* skip(`firmware.${name}`, name, "there is no device")
    return
  }
  const path = `/devices/${device.id}/flash`
  const flash = (modelId: string) =>
    client.ask({
      method: "POST",
      path,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ modelId })
    })

  yield* check(
    "firmware.flash",
    "answers 404 for an unknown model",
    Effect.flatMap(flash("no-such-model"), (answer) => problem(answer, "not_found"))
  )
  if (destructive) yield* checkWholeFlash(device.id, flash)
  else yield* skip("firmware.flash", "begins to flash a model", "only with --destructive")

  const last = yield* check(
    "firmware.status",
    "gives the last flash, or 404",
    Effect.gen(function* () {
      const answer = yield* client.ask({ method: "GET", path })
      if (answer.status !== 404) return yield* json(answer, 200, Flash)
      yield* problem(answer, "not_found")
      return undefined
    })
  )
  yield* check(
    "firmware.events",
    last === undefined ? "answers 404 where nothing was ever flashed" : "tells the last flash and ends",
    Effect.gen(function* () {
      if (last === undefined) {
        return void (yield* problem(
          yield* client.ask({ method: "GET", path: `${path}/events` }),
          "not_found"
        ))
      }
      if (last.state === "running") return
      const stream = yield* events(yield* client.open({ method: "GET", path: `${path}/events` }), FlashEvent)
      const all = yield* within(Stream.runCollect(stream), "the end of the stream")
      yield* expect(all.length === 1 && all[0]?.data.id === last.id, `expected 1 event, got ${all.length}`)
    }).pipe(Effect.scoped)
  )
})

const listed = Effect.gen(function* () {
  const client = yield* ConformanceClient
  const answer = yield* client.ask({ method: "POST", path: "/devices/scan" })
  return (yield* json(answer, 200, DeviceScan)).items
})

/** Uploads a model of its own, flashes it and follows the events; longest wait ten minutes. */
const checkWholeFlash = Effect.fnUntraced(function* (
  deviceId: string,
  flash: (modelId: string) => Effect.Effect<Answer, Differs>
) {
  const client = yield* ConformanceClient
  const { check, skip } = yield* ConformanceReport
  const modelId = "conformance-flash"
  const model = `/models/${modelId}`
  const begun = yield* check(
    "firmware.flash",
    "begins to flash a model",
    Effect.gen(function* () {
      yield* client.ask({ method: "POST", path: `/devices/${deviceId}/inference/stop` })
      yield* client.ask({ method: "POST", path: `/devices/${deviceId}/connect` })
      const headers = { "content-type": "application/octet-stream" }
      yield* client.ask({ method: "PUT", path: model, headers, body: new Uint8Array(1024) })
      return yield* json(yield* flash(modelId), 202, Flash)
    })
  )
  const title = "tells the progress of a flash to its end"
  if (begun === undefined) return yield* skip("firmware.events", title, "none could be begun")
  yield* check(
    "firmware.events",
    title,
    Effect.gen(function* () {
      const answer = yield* client.open({ method: "GET", path: `/devices/${deviceId}/flash/events` })
      const stream = yield* events(answer, FlashEvent)
      const all = yield* within(Stream.runCollect(stream), "the end of the flash", 600)
      const percents = all.map(({ data }) => data.percent)
      yield* expect(
        percents.every((percent, at) => percent >= (percents[at - 1] ?? 0)),
        `percent fell: ${percents.join(", ")}`
      )
      const final = all.at(-1)?.data
      if (final === undefined) return yield* new Differs({ message: "no event came" })
      yield* expect(final.id === begun.id, `the events are of another flash, ${final.id}`)
      yield* expect(final.state !== "running" && final.endedAt !== null, "the stream ended before the flash")
      const { state, error } = final
      yield* expect((state === "failed") === (error !== null), `it has ${state}, and its error is ${error}`)
    }).pipe(Effect.scoped)
  )
  yield* Effect.ignore(client.ask({ method: "DELETE", path: model }))
})
