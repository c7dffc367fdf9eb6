import { Effect, FileSystem, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import { Base64 } from "effect/encoding"

/**
 * What the two servers' environment would be: made of free choices (`API_PORT` and its like) and of keys that are
 * kept in the state folder. So are the provider's own, and what it handed out: sign-ins outlive a restart.
 */

const Keys = Schema.fromJsonString(Schema.Struct({ sessionKeys: Schema.String, internalKey: Schema.String }))

/** Reads the folder's keys, or makes them. The file is its owner's alone. */
const keysOf = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const random = yield* SecureRandom.SecureRandom
  const file = `${folder}/keys.json`
  yield* fs.makeDirectory(folder, { recursive: true, mode: 0o700 })
  if (yield* fs.exists(file)) {
    const kept = yield* Effect.option(Schema.decodeEffect(Keys)(yield* fs.readFileString(file)))
    if (kept._tag === "Some") return kept.value
  }
  const key = Effect.map(random.randomBytes(32), Base64.encode)
  const made = { sessionKeys: yield* key, internalKey: yield* key }
  yield* fs.writeFileString(file, yield* Effect.orDie(Schema.encodeEffect(Keys)(made)), { mode: 0o600 })
  return made
})

export interface DevelopmentEnvironment {
  readonly folder: string
  readonly publicUrl: URL
  readonly providerPort: number
  readonly edgePort: number
  /** For both servers' `Config`. */
  readonly variables: Record<string, string>
}

/** A port that the environment names is wrong. */
export class NotAPort extends Schema.TaggedError<NotAPort>()("NotAPort", {
  variable: Schema.String,
  example: Schema.Int
}) {
  override get message(): string {
    return `${this.variable} must be a port, from 1 to 65535, e.g. ${this.variable}=${this.example}`
  }
}

export const make = Effect.fn("Environment.make")(function* (
  given: Readonly<Record<string, string | undefined>>
) {
  const portOf = Effect.fnUntraced(function* (variable: string, example: number) {
    const text = given[variable]
    if (text === undefined || text === "") return example
    const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
    return port >= 1 && port <= 65_535 ? port : yield* new NotAPort({ variable, example })
  })
  const api = yield* portOf("API_PORT", 3721)
  const provider = yield* portOf("PROVIDER_PORT", 3722)
  const tunnel = yield* portOf("TUNNEL_PORT", 3800)
  const internal = yield* portOf("INTERNAL_PORT", 3801)
  const edge = yield* portOf("EDGE_PORT", 3790)
  const folder = given["STATE_DIR"] ?? ".edge-relay"
  const { internalKey, sessionKeys } = yield* keysOf(folder)
  const publicUrl = new URL(`http://localhost:${api}`)
  return {
    folder,
    publicUrl,
    providerPort: provider,
    edgePort: edge,
    variables: {
      LOG_LEVEL: "warn",
      LOG_FORMAT: "pretty",
      // Loopback, and people who press Ctrl-C: whatever still runs is not waited for.
      DRAIN_SECONDS: "1",
      API_PORT: String(api),
      TUNNEL_PORT: String(tunnel),
      INTERNAL_PORT: String(internal),
      ...defined(given),
      // One process is no cluster, whatever else this shell is for.
      REDIS_URL: "",
      PUBLIC_URL: publicUrl.origin,
      TUNNEL_URL: `ws://localhost:${tunnel}`,
      PROXY_INTERNAL_URL: `http://127.0.0.1:${internal}`,
      INTERNAL_KEY: internalKey,
      SESSION_KEYS: sessionKeys,
      DATABASE_URL: `sqlite:${folder}/edge-relay.db`,
      OIDC_ISSUER: `http://localhost:${provider}`,
      OIDC_CLIENT_ID: "edge-relay",
      OIDC_CLIENT_SECRET: "",
      OIDC_TENANT_CLAIM: "tenant"
    }
  } satisfies DevelopmentEnvironment
})

const defined = (given: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
  )
