import { assert, describe, it } from "@effect/vitest"
import { Option } from "effect"
import { ProviderTokens, seal, unseal } from "../../src/provider/ProviderTokens.ts"

const tokens = new ProviderTokens({ accessToken: "access", refreshToken: null, idToken: "id" })

describe("sealed tokens", () => {
  it("open with the cookie that sealed them", () => {
    assert.deepStrictEqual(unseal("cookie", seal("cookie", tokens)), Option.some(tokens))
  })

  it("open with no other cookie", () => {
    assert.isTrue(Option.isNone(unseal("another", seal("cookie", tokens))))
  })

  it("differ each time", () => {
    assert.notStrictEqual(seal("cookie", tokens), seal("cookie", tokens))
  })

  it("do not open when a byte was changed, cut or added", () => {
    const sealed = Buffer.from(seal("cookie", tokens), "base64url")
    for (let index = 0; index < sealed.length; index++) {
      const changed = Buffer.from(sealed)
      changed[index] = (changed[index] ?? 0) ^ 1
      assert.isTrue(Option.isNone(unseal("cookie", changed.toString("base64url"))))
      assert.isTrue(Option.isNone(unseal("cookie", sealed.subarray(0, index).toString("base64url"))))
    }
    assert.isTrue(
      Option.isNone(unseal("cookie", Buffer.concat([sealed, Buffer.of(0)]).toString("base64url")))
    )
  })
})
