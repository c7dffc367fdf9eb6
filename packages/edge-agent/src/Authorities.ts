import { Effect, FileSystem, Schema } from "effect"
import { X509Certificate } from "node:crypto"

/** What `--ca` names cannot be trusted: nothing could be reached by it. */
export class AuthoritiesUnusable extends Schema.TaggedError<AuthoritiesUnusable>()("AuthoritiesUnusable", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.file} ${this.problem}: expected certificates in PEM`
  }
}

/** The certificates of a PEM file, each checked to be one: TLS itself passes over what it cannot read. */
export const read = Effect.fn("Authorities.read")(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const unusable = (problem: string) => new AuthoritiesUnusable({ file, problem })
  const text = yield* Effect.mapError(fs.readFileString(file), ({ reason }) =>
    unusable(`cannot be read (${reason._tag})`)
  )
  const certificates = text.match(CERTIFICATE) ?? []
  if (certificates.length === 0) return yield* unusable("has no certificate")
  for (const certificate of certificates) {
    yield* Effect.try({
      try: () => new X509Certificate(certificate),
      catch: () => unusable("has a damaged certificate")
    })
  }
  return text
})

/** RFC 7468 §5.1. */
const CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^]*?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g
