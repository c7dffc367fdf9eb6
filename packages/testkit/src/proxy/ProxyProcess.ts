import { Effect } from "effect"
import { Program } from "../Program.ts"
import { dialerTo, internalKey } from "./TestProxyServer.ts"

/** A real proxy, on free ports, for the scope's life. */
export const startProxy = Effect.fnUntraced(function* (
  database: { readonly url: string; readonly folder: string },
  environment: Record<string, string> = {}
) {
  const program = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new Program(
          "packages/server-proxy/src/main.ts",
          [],
          {
            INTERNAL_KEY: internalKey,
            DATABASE_URL: database.url,
            TUNNEL_PORT: "0",
            INTERNAL_PORT: "0",
            LOG_FORMAT: "json",
            DRAIN_SECONDS: "20",
            ...environment
          },
          database.folder
        )
    ),
    (program) => Effect.promise(() => program.stop("SIGKILL"))
  )
  const [, tunnelPort, internalPort] = yield* Effect.promise(() =>
    program.printed(/the proxy is up.*"tunnelPort":(\d+),"internalPort":(\d+)/)
  )
  const internalUrl = `http://127.0.0.1:${internalPort}`
  return {
    program,
    tunnelPort: Number(tunnelPort),
    tunnelUrl: `ws://127.0.0.1:${tunnelPort}`,
    internalUrl,
    dialer: yield* dialerTo(internalUrl)
  }
})
