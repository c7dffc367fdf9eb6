/** A moment on the wire: ISO 8601 in UTC with milliseconds, `2030-01-31T12:00:00.000Z`, and nothing looser. */
import { Schema, SchemaTransformation } from "effect"

export const EdgeTime = Schema.String.check(
  Schema.isPattern(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/, {
    expected: "a time in UTC with milliseconds, such as 2030-01-31T12:00:00.000Z"
  })
)
  .annotate({ identifier: "EdgeTime", format: "date-time" })
  .pipe(Schema.decodeTo(Schema.DateTimeUtc, SchemaTransformation.dateTimeUtcFromString))
