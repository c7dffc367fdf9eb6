import { Cluster, ClusterEvent } from "@edge-relay/domain/edge-api/Clusters"
import { type Device, DeviceScan } from "@edge-relay/domain/edge-api/Devices"
import { Effect, Fiber, Stream } from "effect"
import { ConformanceClient } from "./EdgeClient.ts"
import { empty, events, expect, json, problem, within } from "./Expectations.ts"
import { checkList } from "./Lists.ts"
import { ConformanceReport } from "./Report.ts"

export const checkClusters = Effect.fn("checkClusters")(function* () {
  const client = yield* ConformanceClient
  const { check, skip } = yield* ConformanceReport
  const send = (method: string, path: string, body?: unknown) =>
    client.ask({
      method,
      path,
      ...(body === undefined
        ? {}
        : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) })
    })

  const clusters = yield* checkList("clusters.list", "/clusters", Cluster)
  yield* check(
    "clusters.create",
    "answers 404 for a device that is not there",
    Effect.flatMap(
      send("POST", "/clusters", { name: "conformance", deviceIds: ["no-such-device"] }),
      (answer) => problem(answer, "not_found")
    )
  )
  const taken = clusters.flatMap(({ deviceIds }) => deviceIds)
  const devices = yield* Effect.orElseSucceed(scanned, () => [])
  const device = chooseFree(devices, taken)
  const created =
    device &&
    (yield* check(
      "clusters.create",
      "makes a cluster",
      Effect.gen(function* () {
        const wanted = { name: "conformance", deviceIds: [device.id] }
        const cluster = yield* json(yield* send("POST", "/clusters", wanted), 201, Cluster)
        yield* expect(cluster.name === "conformance" && !cluster.running, "it has another name, or runs")
        yield* expect(cluster.deviceIds.join() === device.id, `its devices are ${cluster.deviceIds.join()}`)
        return cluster
      })
    ))
  if (device === undefined || created === undefined) {
    const why = device === undefined ? "every device is part of a cluster" : "none could be made"
    for (const name of ["get", "update", "start", "stop", "events", "remove"]) {
      yield* skip(`clusters.${name}`, name, why)
    }
    return
  }
  const path = `/clusters/${created.id}`
  const cluster = (method: string, suffix = "", body?: unknown) =>
    Effect.flatMap(send(method, `${path}${suffix}`, body), (answer) => json(answer, 200, Cluster))

  yield* check("clusters.get", "gives it", cluster("GET"))
  yield* check(
    "clusters.create",
    "answers 409 for a device that is part of another",
    Effect.flatMap(send("POST", "/clusters", { name: "second", deviceIds: [device.id] }), (answer) =>
      problem(answer, "conflict")
    )
  )
  yield* check(
    "clusters.update",
    "renames it and leaves the rest",
    Effect.gen(function* () {
      const { name, deviceIds } = yield* cluster("PATCH", "", { name: "renamed" })
      yield* expect(
        name === "renamed" && deviceIds.join() === device.id,
        `it is ${name} of ${deviceIds.join()}`
      )
    })
  )
  if (device.state === "disconnected")
    yield* send("POST", `/devices/${device.id}/connect`).pipe(Effect.ignore)
  yield* check(
    "clusters.start",
    "starts, and again without effect",
    Effect.gen(function* () {
      const first = yield* cluster("POST", "/start")
      const second = yield* cluster("POST", "/start")
      yield* expect(first.running && second.running, "it does not run")
      yield* expect(String(first.startedAt) === String(second.startedAt), "it was started anew")
    })
  )
  yield* check(
    "clusters.events",
    "tells the cluster first, then its load and its changes",
    Effect.gen(function* () {
      const stream = yield* events(
        yield* client.open({ method: "GET", path: `${path}/events` }),
        ClusterEvent
      )
      const told = yield* Effect.forkChild(Stream.runCollect(Stream.takeUntil(stream, isRenamed)), {
        startImmediately: true
      })
      yield* Effect.sleep("1500 millis")
      yield* cluster("PATCH", "", { name: "renamed again" })
      const some = yield* within(Fiber.join(told), "an event of the new name")
      yield* expect(some[0]?.event === "cluster", `the first is ${some[0]?.event}`)
      yield* expect(
        some.some(({ event }) => event === "load"),
        "it runs, and no load came within 1.5 s"
      )
    }).pipe(Effect.scoped)
  )
  yield* check(
    "clusters.remove",
    "answers 409 while it runs",
    Effect.flatMap(send("DELETE", path), (answer) => problem(answer, "conflict"))
  )
  yield* check(
    "clusters.stop",
    "stops, and again without effect",
    Effect.gen(function* () {
      for (const _ of [1, 2]) {
        const { running } = yield* cluster("POST", "/stop")
        yield* expect(!running, "it still runs")
      }
    })
  )
  yield* check(
    "clusters.remove",
    "removes it, once",
    Effect.gen(function* () {
      yield* empty(yield* send("DELETE", path), 204)
      yield* problem(yield* send("GET", path), "not_found")
      yield* problem(yield* send("DELETE", path), "not_found")
    })
  )
  if (device.state === "disconnected")
    yield* send("POST", `/devices/${device.id}/disconnect`).pipe(Effect.ignore)
})

const isRenamed = (event: typeof ClusterEvent.Type) =>
  event.event === "cluster" && event.data.name === "renamed again"

const scanned = Effect.gen(function* () {
  const client = yield* ConformanceClient
  const answer = yield* client.ask({ method: "POST", path: "/devices/scan" })
  return (yield* json(answer, 200, DeviceScan)).items
})

/** A device in no cluster, rather one that is connected already. */
const chooseFree = (devices: ReadonlyArray<Device>, taken: ReadonlyArray<string>): Device | undefined => {
  const free = devices.filter(({ id, state }) => !taken.includes(id) && state !== "flashing")
  return free.find(({ state }) => state !== "disconnected") ?? free[0]
}
