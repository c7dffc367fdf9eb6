import { createHash, timingSafeEqual } from "node:crypto"
import { Effect, Layer, Redacted } from "effect"
import { InternalKey, InternalKeyRejected } from "@edge-relay/protocol/InternalApi"
import { Config } from "./Config.ts"

/** Whether a text is the key. Compares digests, so that neither the time nor the length tells anything of it. */
export const make = (key: Redacted.Redacted<string>): ((given: string) => boolean) => {
  const digest = (text: string) => createHash("sha256").update(text).digest()
  const expected = digest(Redacted.value(key))
  return (given) => timingSafeEqual(digest(given), expected)
}

/** The middleware that the contract puts before every endpoint. */
export const layer = Layer.effect(
  InternalKey,
  Effect.map(Config, ({ internalKey }) => {
    const isKey = make(internalKey)
    return InternalKey.of({
      bearer: (httpEffect, { credential }) =>
        isKey(Redacted.value(credential))
          ? httpEffect
          : Effect.fail(new InternalKeyRejected({ detail: "the internal key is missing or wrong" }))
    })
  })
)
