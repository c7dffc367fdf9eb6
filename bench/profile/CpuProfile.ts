import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"

/** What V8's sampling profiler writes (`node --cpu-prof`): times in microseconds. */
const CpuProfile = Schema.Struct({
  endTime: Schema.Finite,
  startTime: Schema.Finite,
  nodes: Schema.Array(
    Schema.Struct({
      id: Schema.Int,
      callFrame: Schema.Struct({ functionName: Schema.String, url: Schema.String })
    })
  ),
  samples: Schema.Array(Schema.Int),
  timeDeltas: Schema.Array(Schema.Finite)
})

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(CpuProfile))

/** Where a sample was taken, in words, by the first that fits. */
const places: ReadonlyArray<readonly [place: string, fits: (functionName: string, url: string) => boolean]> =
  [
    ["idle", (name) => name === "(idle)"],
    ["garbage collector", (name) => name === "(garbage collector)"],
    [
      "system calls: write",
      (name, url) => url === "" && /^(write|writev|writeBuffer|writeLatin1String|writeUtf8String)$/.test(name)
    ],
    [
      "native code, system calls to read and wait among it",
      (name) => name === "(program)" || name === "(root)"
    ],
    ["native functions", (_, url) => url === ""],
    ["Node: HTTP", (_, url) => /^node:_?http|^node:internal\/http/.test(url)],
    ["Node: streams", (_, url) => /^node:(internal\/)?streams?/.test(url)],
    ["Node: sockets", (_, url) => /^node:(net|internal\/stream_base_commons)/.test(url)],
    ["Node: all else", (_, url) => url.startsWith("node:")],
    ["ours: yamux", (_, url) => url.includes("/packages/tunnel/src/yamux/")],
    ["ours: tunnel and link", (_, url) => url.includes("/packages/tunnel/src/")],
    ["ours: gateway", (_, url) => url.includes("/packages/server-api/src/gateway/")],
    ["ours: all else", (_, url) => url.includes("/packages/")],
    ["Effect", (_, url) => /node_modules\/(effect|@effect)\//.test(url)],
    ["ws", (_, url) => url.includes("/node_modules/ws/")]
  ]

export interface Share {
  readonly place: string
  /** Of the time that the process was not idle. */
  readonly share: number
}

/**
 * Where the main thread of a process was in the last `seconds` before it ended, the largest share first, and what
 * part of these it was busy. Reads the newest profile of a folder.
 */
export const sharesOf = (folder: string, seconds: number) => {
  const newest = readdirSync(folder)
    .filter((name) => name.endsWith(".cpuprofile"))
    .toSorted()
    .at(-1)
  if (newest === undefined) throw new Error(`no profile in ${folder}`)
  const profile = decode(readFileSync(join(folder, newest), "utf8"))
  const placeOf = new Map(
    profile.nodes.map(({ id, callFrame: { functionName, url } }) => [
      id,
      places.find(([, fits]) => fits(functionName, url))?.[0] ?? "others"
    ])
  )
  const from = profile.endTime - seconds * 1e6
  const spent = new Map<string, number>()
  let at = profile.startTime
  for (const [index, delta] of profile.timeDeltas.entries()) {
    at += delta
    if (at < from) continue
    const place = placeOf.get(profile.samples[index] ?? 0) ?? "others"
    spent.set(place, (spent.get(place) ?? 0) + delta)
  }
  const idle = spent.get("idle") ?? 0
  spent.delete("idle")
  const busy = [...spent.values()].reduce((sum, micros) => sum + micros, 0)
  const shares = [...spent]
    .map(([place, micros]): Share => ({ place, share: micros / busy }))
    .toSorted((one, other) => other.share - one.share)
  return { busy: busy / (busy + idle), shares }
}
