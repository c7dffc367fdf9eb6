import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { Duplex } from "node:stream"
import { type Broken, type ConnectionSink, EdgeConnection } from "../../src/pool/EdgeConnection.ts"

const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/** A request on a connection of its own, whose sink throws where a test says; what came of it. */
const ask = (throwing: Partial<ConnectionSink>, status = answer) => {
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const broken: Array<Broken> = []
  const connection = new EdgeConnection({ stream, protocol: "v2" }, { onFree: () => {}, onClosed: () => {} })
  connection.begin("GET", "GET / HTTP/1.1\r\n\r\n", {
    place: "our-origin",
    mayUpgrade: true,
    isSent: () => true,
    onInformation: () => {},
    onHead: () => {},
    onBody: () => {},
    onFlush: () => {},
    onEnd: () => {},
    onSwitch: () => {},
    onBroken: (why) => broken.push(why),
    onDrain: () => {},
    ...throwing
  })
  stream.push(status)
  return { stream, broken }
}

const fail = () => {
  throw new Error("a bug")
}

describe("EdgeConnection", () => {
  for (const [name, throwing, status] of [
    ["head", { onHead: fail }, answer],
    ["body", { onBody: fail }, answer],
    ["flush", { onFlush: fail }, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"],
    ["end", { onEnd: fail }, answer],
    ["switch", { onSwitch: fail }, "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"]
  ] as const) {
    it(`survives a bug in what takes its ${name}: it is told, and the stream is reset`, async () => {
      const { broken, stream } = ask(throwing, status)
      await once(stream, "close")
      assert.strictEqual(broken.map(({ defect }) => String(defect)).join(), "Error: a bug")
    })
  }

  it("survives a bug in what takes an end without a length", async () => {
    const { broken, stream } = ask({ onEnd: fail }, "HTTP/1.1 200 OK\r\n\r\nok")
    stream.push(null)
    await once(stream, "close")
    assert.strictEqual(broken.map(({ defect }) => String(defect)).join(), "Error: a bug")
  })
})
