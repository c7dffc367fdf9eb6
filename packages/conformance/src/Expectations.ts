/** What checks expect of an answer. Each fails with a sentence that says what came instead. */
import { EdgeProblem, type EdgeProblemCode, problems } from "@edge-relay/domain/edge-api/EdgeProblem"
import { Effect, Schema, Stream } from "effect"
import { Sse } from "effect/encoding"
import { imageSize } from "./ImageSize.ts"
import type { Answer, Head } from "./EdgeClient.ts"
import { Differs } from "./Report.ts"

export const expect = (condition: boolean, message: string): Effect.Effect<void, Differs> =>
  condition ? Effect.void : Effect.fail(new Differs({ message }))

export const status = (answer: Head, ...wanted: ReadonlyArray<number>) =>
  expect(wanted.includes(answer.status), `expected status ${wanted.join(" or ")}, got ${answer.status}`)

/** The media type, without its parameters. */
export const contentType = (answer: Head, wanted: string) => {
  const type = answer.headers["content-type"]?.split(";")[0]?.trim().toLowerCase() ?? "none"
  return expect(type === wanted, `expected content type ${wanted}, got ${type}`)
}

export const decode = <A, I>(schema: Schema.Codec<A, I>, value: unknown): Effect.Effect<A, Differs> =>
  Effect.mapError(
    Schema.decodeUnknownEffect(schema, { errors: "all" })(value),
    (error) => new Differs({ message: `does not decode: ${error.message.replaceAll(/\s*\n\s*/g, " ")}` })
  )

/** A JSON answer of this status that decodes. */
export const json = Effect.fnUntraced(function* <A, I>(
  answer: Answer,
  wanted: number,
  schema: Schema.Codec<A, I>
) {
  yield* status(answer, wanted)
  yield* contentType(answer, "application/json")
  return yield* decode(
    Schema.fromJsonString(Schema.toCodecJson(schema)),
    new TextDecoder().decode(answer.body)
  )
})

/** A problem of one of these codes, with the status that belongs to it. */
export const problem = Effect.fnUntraced(function* (
  answer: Answer,
  ...codes: ReadonlyArray<EdgeProblemCode>
) {
  yield* status(answer, ...codes.map((code) => problems[code].status))
  yield* contentType(answer, "application/problem+json")
  const text = new TextDecoder().decode(answer.body)
  const decoded = yield* decode(Schema.fromJsonString(EdgeProblem), text)
  yield* expect(codes.includes(decoded.code), `expected code ${codes.join(" or ")}, got ${decoded.code}`)
  yield* expect(
    decoded.status === answer.status,
    `status ${answer.status} has a body that says ${decoded.status}`
  )
  return decoded
})

export const empty = Effect.fnUntraced(function* (answer: Answer, wanted: number) {
  yield* status(answer, wanted)
  yield* expect(answer.body.length === 0, `expected no body, got ${answer.body.length} bytes`)
})

/** A whole JPEG: it begins and ends as one, and its header can be read. */
export const jpeg = Effect.fnUntraced(function* (bytes: Uint8Array) {
  yield* expect(bytes[0] === 0xff && bytes[1] === 0xd8, "does not begin as a JPEG, with FF D8")
  yield* expect(bytes.at(-2) === 0xff && bytes.at(-1) === 0xd9, "does not end as a JPEG, with FF D9")
  const size = imageSize(bytes)
  return size ?? (yield* new Differs({ message: "has no JPEG frame header" }))
})

/** The events of a stream, each decoded; the answer must be an event stream. */
export const events = Effect.fnUntraced(function* <A, I>(
  answer: Head & { readonly bytes: Stream.Stream<Uint8Array, Differs> },
  schema: Schema.Codec<A, I>
) {
  yield* status(answer, 200)
  yield* contentType(answer, "text/event-stream")
  return answer.bytes.pipe(
    Stream.decodeText(),
    Stream.pipeThroughChannel(Sse.decode<Differs, unknown>()),
    Stream.mapError((error) =>
      error._tag === "Differs" ? error : new Differs({ message: `not an event stream: ${error._tag}` })
    ),
    Stream.mapEffect(({ event, data, id }) => decode(schema, { event, data, id }))
  )
})

/** Waits for a stream's next items, and no longer than is sensible. */
export const within = <A, R>(effect: Effect.Effect<A, Differs, R>, what: string, seconds = 10) =>
  Effect.timeoutOrElse(effect, {
    duration: `${seconds} seconds`,
    orElse: () => Effect.fail(new Differs({ message: `${what} did not come within ${seconds} s` }))
  })
