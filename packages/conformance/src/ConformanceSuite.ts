/**
 * Checks any edge's local server against the edge API: every endpoint is called and its answer decoded, statuses,
 * content types and the framing of streams are looked at, files make the round trip, and what should be refused is
 * tried. What would disturb a real device is tried only when asked for.
 */
import { Effect, Layer, Schema } from "effect"
import { checkCameras } from "./Cameras.ts"
import { ConformanceClient } from "./EdgeClient.ts"
import { checkClusters } from "./Clusters.ts"
import { checkContract } from "./Contract.ts"
import { checkDevices, checkFirmware } from "./Devices.ts"
import { checkMedia, checkModels } from "./Files.ts"
import { checkInference } from "./Inference.ts"
import { type CheckResult, ConformanceReport, contractEndpoints } from "./Report.ts"
import { checkSystem } from "./System.ts"

export interface ConformanceOptions {
  /** Where the local server is. */
  readonly url: string
  /** Sent with every request, as what opens the way to an edge through the cloud. */
  readonly headers?: Readonly<Record<string, string>>
  /** Also restarts, flashes, and stops what runs. */
  readonly destructive?: boolean
  /** Only these groups of the contract; all where it is left out. */
  readonly groups?: ReadonlyArray<string>
}

const checks = {
  edgeSystem: checkSystem,
  devices: checkDevices,
  firmware: checkFirmware,
  inference: checkInference,
  cameras: checkCameras,
  media: checkMedia,
  models: checkModels,
  clusters: checkClusters
}

/** Groups that can be asked for. */
export const conformanceGroups: ReadonlyArray<string> = Object.keys(checks)

/** There is no HTTP server at the URL. */
export class EdgeUnreachable extends Schema.TaggedError<EdgeUnreachable>()("EdgeUnreachable", {
  url: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `nothing answers at ${this.url}: ${this.reason}`
  }
}

/** In the order they were made. */
export const checkConformance = (
  options: ConformanceOptions
): Effect.Effect<ReadonlyArray<CheckResult>, EdgeUnreachable> =>
  Effect.gen(function* () {
    const client = yield* ConformanceClient
    yield* client
      .ask({ method: "GET", path: "/system/info" })
      .pipe(Effect.mapError(({ message }) => new EdgeUnreachable({ url: options.url, reason: message })))
    for (const [group, check] of Object.entries(checks)) {
      if (options.groups !== undefined && !options.groups.includes(group)) continue
      yield* checkContract(group)
      yield* check(options.destructive ?? false)
    }
    const report = yield* ConformanceReport
    return yield* report.results
  }).pipe(
    Effect.provide(
      Layer.merge(ConformanceReport.layer, ConformanceClient.layer(options.url, options.headers))
    )
  )

/** Whether nothing differs. */
export const conforms = (results: ReadonlyArray<CheckResult>): boolean =>
  results.every(({ outcome }) => outcome !== "differs")

const marks = { passed: "✓", differs: "✗", skipped: "–" } as const

/** A list for people, by endpoint, and a line that counts. */
export const renderConformance = (results: ReadonlyArray<CheckResult>): string => {
  const lines = contractEndpoints.flatMap(({ id, method, path }) => {
    const own = results.filter(({ endpoint }) => endpoint === id)
    if (own.length === 0) return []
    const told = own.map(
      ({ outcome, title, detail }) => `  ${marks[outcome]} ${title}${detail && `: ${detail}`}`
    )
    return [`${method} ${path}`, ...told, ""]
  })
  const count = (outcome: CheckResult["outcome"]) => results.filter((each) => each.outcome === outcome).length
  lines.push(
    `${results.length} checks: ${count("passed")} passed, ${count("differs")} differ, ${count("skipped")} skipped`
  )
  return lines.join("\n")
}
