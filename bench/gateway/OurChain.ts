import { SessionCookie } from "@edge-relay/auth/session/SessionCookie"
import { SignInSessionId } from "@edge-relay/domain/ids/SignInSessionId"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { UserId } from "@edge-relay/domain/ids/UserId"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { Database } from "@edge-relay/storage/database/Database"
import * as SignInSessionsSql from "@edge-relay/storage/sign-in/SignInSessionsSql"
import * as SqlStorage from "@edge-relay/storage/SqlStorage"
import { Effect, Layer, Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { randomBytes } from "node:crypto"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Chain } from "./Chain.ts"
import { freePort, Program } from "./Program.ts"

/**
 * The product: `npm run api`, `npm run proxy` and `npm run agent` as they are, on a SQLite database of their own,
 * with somebody signed in and an edge paired. `flags` are Node's own, for a profile. As `one`, api and proxy are one
 * process, `npm run server`.
 */
export const startOurChain = async (
  folder: string,
  originPort: number,
  flags: (role: string) => ReadonlyArray<string> = () => [],
  as: "three" | "one" = "three"
): Promise<Chain> => {
  const [api, apiInternal, tunnel, internal] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort()
  ]
  const sessionKey = randomBytes(32)
  const databaseUrl = `sqlite:${join(folder, "bench.db")}`
  const env = {
    PUBLIC_URL: `http://127.0.0.1:${api}`,
    API_PORT: String(api),
    API_INTERNAL_PORT: String(apiInternal),
    TUNNEL_PORT: String(tunnel),
    TUNNEL_URL: `ws://127.0.0.1:${tunnel}`,
    INTERNAL_PORT: String(internal),
    PROXY_INTERNAL_URL: `http://127.0.0.1:${internal}`,
    INTERNAL_KEY: randomBytes(32).toString("base64"),
    DATABASE_URL: databaseUrl,
    SESSION_KEYS: sessionKey.toString("base64"),
    // Nobody signs in while it is measured.
    OIDC_ISSUER: "http://127.0.0.1:9",
    OIDC_CLIENT_ID: "bench",
    DRAIN_SECONDS: "0",
    LOG_FORMAT: "json"
  }
  const { cookie, edgeId, token, idleTokens } = await seed(databaseUrl, sessionKey)
  const state = join(folder, "agent")
  mkdirSync(state)
  writeFileSync(
    join(state, "credentials.json"),
    JSON.stringify({
      cloudUrl: env.PUBLIC_URL,
      edgeId,
      token,
      tunnelUrl: `${env.TUNNEL_URL}/tunnel/connect`,
      services: { http: `http://127.0.0.1:${originPort}` }
    })
  )
  const start = (role: string, file: string, ready: string, ...args: ReadonlyArray<string>) =>
    Program.start(role, [process.execPath, ...flags(role), join(packages, file), ...args], { env, ready })
  const servers =
    as === "one"
      ? [await start("server", "server-all/src/main.ts", "the API is up")]
      : [
          // The api asks the proxy.
          await start("proxy", "server-proxy/src/main.ts", "the proxy is up"),
          await start("api", "server-api/src/main.ts", "the API is up")
        ].toReversed()
  const agent = await start("agent", "edge-agent/src/main.ts", "connected to", "run", "--state", state)
  const programs = [...servers, agent]
  return {
    name: as === "one" ? "one process" : "ours",
    url: `${env.PUBLIC_URL}/api/edges/${edgeId}/http`,
    cookie,
    programs,
    openIdle: async (count) => {
      const file = join(folder, "idle.json")
      writeFileSync(file, JSON.stringify(await idleTokens(count)))
      const idle = await Program.start(
        "idle",
        [
          process.execPath,
          join(import.meta.dirname, "idleTunnels.ts"),
          `${env.TUNNEL_URL}/tunnel/connect`,
          file
        ],
        { ready: "all connected" }
      )
      return () => idle.stop()
    }
  }
}

const packages = join(import.meta.dirname, "../../packages")

/** Somebody signed in, with an edge; and as many more edges as are asked for. */
const seed = async (databaseUrl: string, sessionKey: Buffer) => {
  const storage = Layer.mergeAll(
    SqlStorage.layer,
    SignInSessionsSql.layer,
    SessionCookie.layer({ keys: [Redacted.make(new Uint8Array(sessionKey))], secure: false })
  ).pipe(
    Layer.provideMerge(Database.layer({ url: Redacted.make(databaseUrl) })),
    Layer.provideMerge(Layer.mergeAll(SecureRandom.layerWebCrypto, Digest.layerWebCrypto))
  )
  const tenantId = TenantId.make(
    await Effect.runPromise(Effect.provide(TypeId.make("tenant"), SecureRandom.layerWebCrypto))
  )

  const pair = Effect.fnUntraced(function* (name: string) {
    const edges = yield* Edges
    const tokens = yield* SessionTokens
    const edge = yield* edges.create(tenantId, { name })
    const { secret } = yield* tokens.rotate(tenantId, edge.id)
    return { edgeId: edge.id, token: Redacted.value(secret) }
  })

  const signIn = Effect.gen(function* () {
    const cookies = yield* SessionCookie
    const sessions = yield* SignInSessions
    const cookie = cookies.issue()
    const userId = UserId.make(yield* TypeId.make("user"))
    const now = Date.now()
    yield* sessions.signIn(
      {
        state: "",
        nonce: "",
        codeVerifier: "verifier",
        returnTo: "/",
        startedAt: now,
        browser: cookie.idHash,
        signedIn: false
      },
      {
        id: SignInSessionId.make(yield* TypeId.make("sess")),
        idHash: cookie.idHash,
        userId,
        tenantId,
        issuer: "http://127.0.0.1:9",
        subject: "bench",
        name: null,
        email: null,
        picture: null,
        role: "admin",
        sealed: "",
        refreshAt: null,
        sid: null,
        address: "127.0.0.1",
        userAgent: "bench",
        createdAt: now,
        idleMillis: 8 * 3_600_000,
        expiresAt: now + 24 * 3_600_000
      }
    )
    return cookies.set(cookie).split(";", 1)[0] ?? ""
  })

  const measured = await Effect.runPromise(
    Effect.gen(function* () {
      return { cookie: yield* signIn, ...(yield* pair("measured")) }
    }).pipe(Effect.provide(storage))
  )
  return {
    ...measured,
    idleTokens: (count: number) =>
      Effect.runPromise(
        Effect.forEach(
          Array.from({ length: count }, (_, index) => `idle ${index}`),
          pair
        ).pipe(Effect.provide(storage))
      ).then((paired) => paired.map(({ token }) => token))
  }
}
