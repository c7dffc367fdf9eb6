import { assert, describe, it } from "@effect/vitest"
import { Session } from "../src/Session.ts"
import { link } from "./support/Link.ts"
import { Model } from "./support/Model.ts"
import { Random } from "@edge-relay/testkit/Random"

describe("two yamux sessions doing random things", () => {
  const cases = Array.from({ length: 40 }, (_, index) => index + 1)

  it.each(cases)(
    "agree on every byte and on every stream's end (seed %i)",
    { timeout: 60_000 },
    async (seed) => {
      const random = new Random(seed)
      const options = {
        maxFramePayload: 1_024 + random.below(64_512),
        sendHighWater: 1_000 + random.below(300_000),
        writeAhead: 1 + random.below(100_000),
        acceptBacklog: 1 + random.below(20),
        initialWindow: 262_144 + random.below(2) * random.below(500_000)
      }
      const transports = link({ random, bytesPerRound: 1_000 + random.below(500_000) })
      const client = new Session("client", transports[0], options)
      const server = new Session("server", transports[1], { ...options, acceptBacklog: 256 })
      const ends: Array<Error | undefined> = []
      for (const session of [client, server]) session.onClose = (error) => ends.push(error)
      const model = new Model(random, [client, server])
      await model.run(500)
      assert.deepStrictEqual(ends, [])
      model.verify()
      client.destroy()
    }
  )
})
