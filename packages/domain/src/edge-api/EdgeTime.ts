/** A moment on the wire: ISO 8601 in UTC with milliseconds, `2030-01-31T12:00:00.000Z`, and nothing looser. */
import { DateTime, Schema, SchemaTransformation } from "effect"

const Wire = Schema.String.check(
  Schema.isPattern(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/, {
    expected: "a time in UTC with milliseconds, such as 2030-01-31T12:00:00.000Z"
  })
).annotate({ identifier: "EdgeTime", format: "date-time" })

// Years before 0 and after 9999 have more digits and a sign.
const isInFourDigitYears = Schema.makeIsBetween<DateTime.Utc>({ order: DateTime.Order })({
  minimum: DateTime.makeUnsafe("0000-01-01T00:00:00.000Z"),
  maximum: DateTime.makeUnsafe("9999-12-31T23:59:59.999Z")
})

export const EdgeTime = Wire.pipe(
  Schema.decodeTo(Schema.DateTimeUtc.check(isInFourDigitYears), SchemaTransformation.dateTimeUtcFromString)
)
