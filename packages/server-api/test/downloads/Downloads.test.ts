import { afterAll, assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ask, TestApi } from "@edge-relay/testkit/api/TestApi"
import { clientOf } from "@edge-relay/testkit/api/TestClient"

const folder = mkdtempSync(join(tmpdir(), "edge-relay-downloads-"))
const agent = "edge-relay-linux-x64.gz"
const put = (name: string, content: string) => writeFileSync(join(folder, name), content)
const sha256 = (content: string) => createHash("sha256").update(content).digest("hex")

describe("Downloads", () => {
  afterAll(() => rmSync(folder, { recursive: true }))

  layer(TestApi.layer({ DOWNLOADS_DIR: folder }), { excludeTestServices: true })("of a folder", (it) => {
    it.effect("offers its files, with the hash of each as it is now", () =>
      Effect.gen(function* () {
        const { url } = yield* TestApi
        put(agent, "one")
        put("notes.txt", "hello")
        // Neither is offered: what is hidden is still being copied, and a folder is no file.
        put(".edge-relay-linux-arm64.gz", "half")
        mkdirSync(join(folder, "old"))
        const items = [
          { name: agent, size: 3, sha256: sha256("one") },
          { name: "notes.txt", size: 5, sha256: sha256("hello") }
        ]
        assert.deepStrictEqual((yield* ask(`${url}/downloads`)).json, { items })
        const file = yield* ask(`${url}/downloads/${agent}`)
        assert.deepStrictEqual([file.status, file.body], [200, "one"])
        assert.strictEqual(file.headers["content-length"], "3")
        assert.strictEqual(file.headers["x-content-type-options"], "nosniff")

        put(agent, "another")
        const again = (yield* ask(`${url}/downloads`)).body
        assert.include(again, sha256("another"))
        assert.include((yield* ask(`${url}/install.sh`)).body, `\n${sha256("hello")}  notes.txt'`)
      })
    )

    it.effect("has nothing but what it offers", () =>
      Effect.gen(function* () {
        const { url } = yield* TestApi
        for (const name of [
          ".edge-relay-linux-arm64.gz",
          "old",
          "%2e%2e%2fetc%2fpasswd",
          "..%2f..%2fetc%2fpasswd",
          "no"
        ]) {
          const { headers, status } = yield* ask(`${url}/downloads/${name}`)
          assert.strictEqual(status, 404, name)
          assert.strictEqual(headers["content-type"], "application/problem+json", name)
        }
      })
    )

    it.effect("makes the pairing command one line for a bare machine", () =>
      Effect.gen(function* () {
        const { signIn } = yield* TestApi
        put(agent, "agent")
        const client = yield* clientOf((yield* signIn("alice")).cookie)
        const { code, command } = yield* client.pairing.createCode({ payload: {} })
        assert.strictEqual(command, `curl -fsSL http://relay.localhost:3721/install.sh | sh -s -- ${code}`)
        rmSync(join(folder, agent))
        // A script that could install nothing is not offered.
        const { command: other } = yield* client.pairing.createCode({ payload: {} })
        assert.match(other, /^npm run agent -- pair /)
      })
    )
  })

  for (const [name, env] of [
    ["no folder", {}],
    ["a folder that is not there", { DOWNLOADS_DIR: join(folder, "nowhere") }]
  ] as const) {
    layer(TestApi.layer(env), { excludeTestServices: true })(`of ${name}`, (it) => {
      it.effect("are none, and there is no script", () =>
        Effect.gen(function* () {
          const { url } = yield* TestApi
          assert.deepStrictEqual((yield* ask(`${url}/downloads`)).json, { items: [] })
          assert.strictEqual((yield* ask(`${url}/install.sh`)).status, 404)
        })
      )
    })
  }
})
