import { Schema } from "effect"

/** The database did not answer, or could not write (unreachable, full, read-only). Nothing was acknowledged. */
export class StorageUnavailable extends Schema.TaggedError<StorageUnavailable>()("StorageUnavailable", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `storage unavailable in ${this.operation}`
  }
}
