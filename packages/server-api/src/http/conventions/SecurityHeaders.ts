/** What every answer says, and what pages may do. */

/**
 * What a page of ours may do: load its own files, talk to its own origin, and be framed by nobody. No script makes
 * HTML or scripts out of text (Trusted Types, W3C): not even a policy of its own could allow it.
 */
export const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
  "require-trusted-types-for 'script'; trusted-types 'none'"

/** Of a page, or of a file that a page loads. */
export const ofPage = {
  "content-security-policy": pagePolicy,
  "referrer-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin"
} as const

/** Of everything. */
export const ofAnswer = (publicUrl: URL): { readonly [name: string]: string } => ({
  "x-content-type-options": "nosniff",
  // Two years, as preload lists want it. Over http the header means nothing (RFC 6797 §8.1).
  ...(publicUrl.protocol === "https:"
    ? { "strict-transport-security": "max-age=63072000; includeSubDomains" }
    : {})
})
