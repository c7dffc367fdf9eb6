import type { Duplex } from "node:stream"
import { Effect, Fiber } from "effect"
import { eventually, eventuallyEffect } from "../Eventually.ts"
import { connectRaw, type RawAgent, type RawAgentOptions } from "../tunnel/RawAgent.ts"
import { readExactly } from "../Streams.ts"
import { tokenOf } from "../TestTokens.ts"
import { ask, type startServer } from "./TestProxyServer.ts"

const { edgeId } = tokenOf(1)

type TestServer = Effect.Success<ReturnType<typeof startServer>>

/** An agent by hand that the proxy has registered. */
export const online = Effect.fnUntraced(function* (server: TestServer, options: RawAgentOptions = {}) {
  const agent = yield* connectRaw(server.tunnelUrl, options)
  yield* eventuallyEffect(
    "online",
    Effect.map(ask(`${server.internalUrl}/internal/sessions/${edgeId}`), ({ status }) => status === 200)
  )
  return agent
})

/** Dials while the agent, by hand, does `answer` with the stream, its preface read. */
export const dial = Effect.fnUntraced(function* (
  server: TestServer,
  agent: RawAgent,
  answer: (stream: Duplex) => void
) {
  const before = agent.streams.length
  const opening = yield* Effect.forkChild(server.dialer.open(edgeId, "http"), { startImmediately: true })
  yield* eventually("a stream", () => agent.streams.length > before)
  const theirs = agent.streams[before]
  if (theirs === undefined) return yield* Effect.die("no stream")
  if (agent.control !== undefined) yield* Effect.promise(() => readExactly(theirs, "xxhttp".length))
  answer(theirs)
  const { stream, protocol } = yield* Fiber.join(opening)
  return { ours: stream, theirs, protocol }
})

/** Answers that the local service is connected. */
export const connected = (stream: Duplex) => void stream.write(Buffer.from([0]))

/** Writes until nothing more goes. */
export const fill = (stream: Duplex) =>
  Effect.promise(
    () =>
      new Promise<void>((resolve) => {
        let quiet: NodeJS.Timeout | undefined
        const write = () => {
          clearTimeout(quiet)
          quiet = setTimeout(resolve, 200)
          while (stream.write(Buffer.alloc(65_536)));
          stream.once("drain", write)
        }
        write()
      })
  )
