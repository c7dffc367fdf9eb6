import { Schema } from "effect"

/**
 * A name that people read on pages, in terminals and in logs, on one line: no control characters (C0, DEL, C1), no
 * separators of lines or paragraphs, and none that turn the direction of what stands beside them (Unicode's
 * Bidi_Control). Whoever asks to be paired writes it, and whoever approves goes by it.
 */
export const PlainText = (maxLength: number) =>
  Schema.String.check(
    Schema.isMinLength(1),
    Schema.isMaxLength(maxLength),
    Schema.isPattern(plain, { expected: "text without control characters" })
  )

// oxlint-disable-next-line no-control-regex -- to refuse them
const plain = /^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$/

/** What an edge is called. */
export const EdgeName = PlainText(100).check(Schema.isTrimmed())
