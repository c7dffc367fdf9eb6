import { text } from "../text/Text.ts"

/** In this order: each also says the names of those that stand behind it. */
const programs = [
  ["Edge", /\bEdgA?\//],
  ["Opera", /\bOPR\//],
  ["Samsung Internet", /\bSamsungBrowser\//],
  ["Firefox", /\b(Firefox|FxiOS)\//],
  ["Chrome", /\b(Headless)?(Chrome|CriOS|Chromium)\//],
  ["Safari", /\bSafari\//],
  ["curl", /^curl\//]
] as const

const systems = [
  ["iOS", /\b(iPhone|iPad|iPod)\b/],
  ["Android", /\bAndroid\b/],
  ["ChromeOS", /\bCrOS\b/],
  ["Windows", /\bWindows\b/],
  ["macOS", /\bMac OS X\b/],
  ["Linux", /\bLinux\b/]
] as const

/** A browser as its person knows it: what it says of itself in a word or two. */
export const nameOfProgram = (userAgent: string | null): string => {
  if (userAgent === null || userAgent === "") return text.unknown
  const program = programs.find(([, pattern]) => pattern.test(userAgent))?.[0]
  const system = systems.find(([, pattern]) => pattern.test(userAgent))?.[0]
  // Nothing that we know: its own first word.
  if (program === undefined) return userAgent.split(/[\s(]/, 1)[0] ?? userAgent
  return system === undefined ? program : text.onSystem(program, system)
}
