import { Schema } from "effect"

/** A moment: ISO 8601 in UTC with milliseconds on the wire, `DateTime.Utc` in the program. */
export const Timestamp = Schema.DateTimeUtcFromString.annotate({ identifier: "Timestamp" })
