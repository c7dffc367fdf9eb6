import { assert, describe, it } from "@effect/vitest"
import { checkAccessToken } from "../../src/provider/AccessTokenChecks.ts"

const now = 1_800_000_000_000
const seconds = now / 1000
const good = { sub: "ci", client_id: "ci", exp: seconds + 60, iat: seconds - 3600 }
const check = (changes: object = {}, typ: string | undefined = "at+jwt", clientId?: string) =>
  checkAccessToken({ ...good, ...changes }, { typ }, { now, toleranceSeconds: 60, clientId })

describe("An access token of a client's own grant", () => {
  it("is believed for as long as it says", () => {
    assert.isUndefined(check())
    assert.isUndefined(check({}, "application/at+JWT", "ci"))
    assert.isUndefined(check({ exp: seconds - 59, nbf: seconds + 60, iat: seconds + 60 }))
  })

  it("is no ID token, and nobody else's", () => {
    for (const typ of ["JWT", "", "logout+jwt", "xat+jwt"]) assert.strictEqual(check({}, typ), "typ")
    assert.strictEqual(check({ sub: "alice" }), "sub")
    assert.strictEqual(check({ client_id: undefined }), "client_id")
    assert.strictEqual(check({}, "at+jwt", "another"), "client_id")
  })

  it("has times that hold, within the tolerance", () => {
    assert.strictEqual(check({ exp: seconds - 60 }), "exp")
    assert.strictEqual(check({ exp: undefined }), "exp")
    assert.strictEqual(check({ nbf: seconds + 61 }), "nbf")
    assert.strictEqual(check({ iat: seconds + 61 }), "iat")
    assert.strictEqual(check({ iat: "yesterday" }), "iat")
  })
})
