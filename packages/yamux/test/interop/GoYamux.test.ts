import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { Role, Session } from "../../src/Session.ts"
import { GoPeers, goInstalled } from "./support/GoPeer.ts"
import { dial, listen } from "./support/Sockets.ts"
import { bulkBytes, download, downloadSlowly, echoAtOnce, resetSeen, upload } from "./support/Streams.ts"

const roles: ReadonlyArray<Role> = ["client", "server"]

/** Time for a bulk transfer on a loaded machine, at 10 MB/s and more. */
const timeout = 60_000 + bulkBytes / 10_000

describe.skipIf(!goInstalled)("interop with hashicorp/yamux over gorilla/websocket (needs go)", () => {
  const peers = new GoPeers()
  beforeAll(() => peers.build(), 300_000)
  afterAll(() => peers.end())

  /** With our session in this role against a Go peer that answers; it listens. */
  const withAnswerer = async (
    role: Role,
    flags: ReadonlyArray<string>,
    use: (session: Session) => Promise<void>
  ) => {
    const peer = peers.start(role === "client" ? "server" : "client", ...flags)
    const session = await dial(role, `ws://${await peer.says("listening")}`)
    try {
      await use(session)
      assert.isFalse(session.closed)
      assert.strictEqual(session.stats.streams, 0)
    } finally {
      await session.close()
      peer.stop()
    }
  }

  /** With our session in this role answering a Go peer that dials, drives, and says how it went. */
  const driven = async (role: Role, ...flags: ReadonlyArray<string>): Promise<string> => {
    const listening = await listen()
    const session = listening.session(role)
    const peer = peers.start(role === "client" ? "server" : "client", "-dial", listening.url, ...flags)
    try {
      await session
      return await peer.says("result")
    } finally {
      peer.stop()
      listening.close()
    }
  }

  for (const role of roles) {
    describe(`as ${role}`, () => {
      it(
        "Y97 64 streams of random size, in messages of 1 to 37 bytes, come back whole",
        { timeout },
        async () => {
          await withAnswerer(role, ["-fragment"], (session) => echoAtOnce(session, 64, 30_000))
          assert.strictEqual(await driven(role, "-fragment", "-drive", "echo:64:30000"), "ok")
        }
      )

      it("Y97 1,000 streams at once come back whole, whoever opens them", { timeout }, async () => {
        await withAnswerer(role, [], (session) => echoAtOnce(session, 1_000, 20_000))
        assert.strictEqual(await driven(role, "-drive", "echo:1000:20000"), "ok")
      })

      it("Y97 bulk on one stream has the same hash at both ends, each way", { timeout }, async () => {
        await withAnswerer(role, [], async (session) => {
          await upload(session, bulkBytes)
          await download(session, bulkBytes)
        })
        assert.strictEqual(await driven(role, "-drive", `hash:1:${bulkBytes}`), "ok")
        assert.strictEqual(await driven(role, "-drive", `send:1:${bulkBytes}`), "ok")
      })

      it("Y97 a reset is seen as one, and a slow reader holds its sender back", { timeout }, async () => {
        await withAnswerer(role, [], async (session) => {
          assert.strictEqual(await resetSeen(session), "connection reset")
          await downloadSlowly(session)
          await upload(session, 5_000_000, "p")
          await session.ping()
        })
      })
    })
  }
})
