import { Schema } from "effect"

/** The database did not answer, or could not write (unreachable, full, read-only). Nothing was acknowledged. */
export class StorageUnavailable extends Schema.TaggedError<StorageUnavailable>()("StorageUnavailable", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  /** How soon to come again: it may be back any moment, and does not say when. */
  static readonly retryAfterSeconds = 5

  override get message(): string {
    return `storage unavailable in ${this.operation}`
  }
}
