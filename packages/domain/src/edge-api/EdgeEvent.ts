/**
 * Server-Sent Events of the edge API. Each has a name, a JSON body and, where the stream numbers them, an id.
 * The first event tells the present state at once; a comment comes at least every 15 s, so that both ends notice
 * a dead connection.
 */
import { Schema } from "effect"

/** Longest silence on an event stream, in seconds, after which a comment is sent. */
export const keepAliveSeconds = 15

export const EdgeEvent = <const Name extends string, Data extends Schema.Top>(name: Name, data: Data) =>
  Schema.Struct({
    id: Schema.optional(Schema.String),
    event: Schema.Literal(name),
    data: Schema.fromJsonString(Schema.toCodecJson(data))
  })
