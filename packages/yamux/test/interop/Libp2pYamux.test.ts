import { once } from "node:events"
import { assert, describe, it } from "@effect/vitest"
import { WebSocket } from "ws"
import type { Role, Session } from "../../src/Session.ts"
import { libp2pEchoes, libp2pPeer, libp2pUpload } from "./support/Libp2pPeer.ts"
import { listen } from "./support/Sockets.ts"
import { bulkBytes, download, downloadSlowly, echoAtOnce, upload } from "./support/Streams.ts"

const roles: ReadonlyArray<Role> = ["client", "server"]

/** It moves some tens of MB/s where Go moves hundreds. */
const bytes = Math.min(bulkBytes, 16 * 1024 * 1024)

describe("interop with @chainsafe/libp2p-yamux", () => {
  type Peer = ReturnType<typeof libp2pPeer>

  const connected = async (
    role: Role,
    use: (session: Session, peer: Peer) => Promise<void>
  ): Promise<void> => {
    const listening = await listen()
    const accepting = listening.session(role)
    const webSocket = new WebSocket(listening.url, { perMessageDeflate: false })
    const peer = libp2pPeer(webSocket, role === "client" ? "inbound" : "outbound")
    await once(webSocket, "open")
    const session = await accepting
    try {
      await use(session, peer)
      assert.isFalse(session.closed)
      assert.strictEqual(session.stats.streams, 0)
    } finally {
      session.destroy()
      listening.close()
      webSocket.terminate()
    }
  }

  for (const role of roles) {
    it(`Y97 as ${role}: streams at once, both ways, half-closed`, { timeout: 60_000 }, () =>
      connected(role, async (session, peer) => {
        await echoAtOnce(session, 200, 20_000)
        await libp2pEchoes(peer, 200, 20_000)
        await session.ping()
      })
    )

    it(
      `Y97 as ${role}: bulk has the same hash at both ends, each way, and a slow reader holds it back`,
      {
        timeout: 60_000
      },
      () =>
        connected(role, async (session, peer) => {
          await upload(session, bytes)
          await download(session, bytes)
          await libp2pUpload(peer, bytes)
          await downloadSlowly(session)
          await session.ping()
        })
    )

    it(`Y97 as ${role}: a reset is seen as one, each way`, { timeout: 60_000 }, () =>
      connected(role, async (session, peer) => {
        const inbound = Promise.withResolvers<string>()
        session.onStream = (stream) => stream.on("error", (error) => inbound.resolve(String(error)))
        const theirs = await peer.createStream()
        theirs.send(Buffer.from("x"))
        await session.ping()
        theirs.abort(new Error("enough"))
        assert.match(await inbound.promise, /was reset by the peer/)

        const reset = new Promise<string>((resolve) => {
          peer.addEventListener("stream", ({ detail }) => {
            detail.addEventListener("close", () => resolve(detail.status))
          })
        })
        const ours = session.open()
        ours.write("ex")
        await session.ping()
        ours.destroy()
        assert.strictEqual(await reset, "reset")
      })
    )
  }
})
