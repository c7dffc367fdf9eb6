/** What one check of the doctor's came to. */
export interface Finding {
  readonly check: string
  readonly verdict: "ok" | "warning" | "failed" | "skipped"
  readonly found: string
  /** What to do about it. */
  readonly advice: string | null
}

export const ok = (check: string, found: string): Finding => ({ check, verdict: "ok", found, advice: null })
export const skipped = (check: string, found: string): Finding => ({
  check,
  verdict: "skipped",
  found,
  advice: null
})
export const warning = (check: string, found: string, advice: string): Finding => ({
  check,
  verdict: "warning",
  found,
  advice
})
export const failed = (check: string, found: string, advice: string): Finding => ({
  check,
  verdict: "failed",
  found,
  advice
})
