import { type Catalogue, en } from "./en.ts"
import { Problem } from "../api/Problem.ts"

/** The language of this page: the first of the browser's that we speak, else English. */
const spoken = navigator.languages.find((tag) => /^(en|zh)\b/i.test(tag)) ?? "en"
const isChinese = /^zh\b/i.test(spoken)

/** Whoever reads English loads no other language. */
export const text: Catalogue = isChinese ? (await import("./zh.ts")).zh : en

/** For `lang`, and for `Intl`: a person's own way of dates where that goes with the language (`en-GB`). */
const locale = isChinese ? "zh-Hant-TW" : spoken
document.documentElement.lang = isChinese ? "zh-Hant" : "en"

export const collator = new Intl.Collator(locale, { numeric: true, sensitivity: "base" })

const numbers = new Intl.NumberFormat(locale)
const millis = new Intl.NumberFormat(locale, {
  style: "unit",
  unit: "millisecond",
  maximumFractionDigits: 1
})
const moments = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" })
const times = new Intl.DateTimeFormat(locale, { timeStyle: "short" })
const days = new Intl.NumberFormat(locale, { style: "unit", unit: "day", unitDisplay: "long" })
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" })
const byteUnits = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const
const bytesIn = byteUnits.map(
  (unit) =>
    new Intl.NumberFormat(locale, {
      style: "unit",
      unit,
      // "2 bytes", and not "2 byte"; "1.5 kB" all the same.
      unitDisplay: unit === "byte" ? "long" : "short",
      maximumFractionDigits: 1
    })
)

export const formatNumber = (value: number): string => numbers.format(value)
export const formatMillis = (value: number): string => millis.format(value)
export const formatDays = (value: number): string => days.format(value)
/** A date with its time, in this browser's time zone. */
export const formatMoment = (iso: string): string => moments.format(new Date(iso))
/** The time of the day. */
export const formatTime = (millis: number): string => times.format(millis)

/** In powers of 1000, as the units are named (IEC 80000-13). */
export const formatBytes = (value: number): string => {
  const power = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), byteUnits.length - 1)
  return bytesIn[power]?.format(value / 1000 ** power) ?? formatNumber(value)
}

/** How long ago, roughly: what is less than a few seconds ago is now. */
export const formatAgo = (iso: string, now: number): string => {
  const seconds = Math.round((Date.parse(iso) - now) / 1000)
  if (seconds > -5 && seconds < 5) return text.now
  for (const [unit, size] of units)
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit)
  return relative.format(seconds, "second")
}

const units = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60]
] as const

/** Minutes and seconds that are left: `4:05`. */
export const formatLeft = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`

const known: { readonly [code: string]: string } = text.problem

/** What went wrong and what to do, in this page's language; the server's own words where we have none. */
export const explain = (error: unknown): string => {
  if (!(error instanceof Problem)) return text.problem.other
  const own = known[error.code]
  if (own !== undefined) return own
  const detail = isChinese ? undefined : error.detail
  const said = detail ?? text.problem.other
  return error.requestId === undefined ? said : `${said} ${text.request(error.requestId)}`
}
