import type { FieldError } from "@edge-relay/domain/api/Problem"

/**
 * Refuses JSON that two readers could understand differently, or that is built to hurt one: an object with the
 * same key twice (RFC 8259 §4 leaves open which one counts), a key that names a prototype, deep nesting.
 */

/** Arrays and objects in one another. The contract's own bodies need 3. */
const maxDepth = 32

/** Keys that assign a prototype where a careless program copies them. */
const forbidden = new Set(["__proto__", "constructor", "prototype"])

/** What is wrong with a text that `JSON.parse` takes; undefined where nothing is. One pass, no recursion. */
export const check = (text: string): typeof FieldError.Type | undefined => {
  const open: Array<Container> = []
  let index = 0
  while (index < text.length) {
    const character = text[index]
    const top = open.at(-1)
    if (character === '"') {
      const end = endOfString(text, index)
      if (top?.keys !== undefined && top.expectsKey) {
        const key = readString(text, index, end)
        top.segment = key
        top.expectsKey = false
        if (forbidden.has(key)) return { path: pathOf(open), message: "is a key that is not allowed" }
        if (top.keys.has(key)) return { path: pathOf(open), message: "is there twice" }
        top.keys.add(key)
      }
      index = end
      continue
    }
    if (character === "{") open.push({ keys: new Set(), expectsKey: true, segment: "" })
    else if (character === "[") open.push({ keys: undefined, expectsKey: false, segment: 0 })
    else if (character === "}" || character === "]") open.pop()
    else if (character === "," && top !== undefined) {
      if (top.keys !== undefined) top.expectsKey = true
      else top.segment = Number(top.segment) + 1
    }
    if (open.length > maxDepth) return { path: "", message: `is nested more than ${maxDepth} deep` }
    index++
  }
  return undefined
}

interface Container {
  /** Of an object; undefined for an array. */
  readonly keys: Set<string> | undefined
  expectsKey: boolean
  /** Where in it the reader is: a key or an index. */
  segment: string | number
}

/** The index after the closing quote. */
const endOfString = (text: string, start: number): number => {
  let index = start + 1
  while (index < text.length && text[index] !== '"') index += text[index] === "\\" ? 2 : 1
  return index + 1
}

/** The same key can be spelt with escapes. */
const readString = (text: string, start: number, end: number): string => {
  const raw = text.slice(start + 1, end - 1)
  return raw.includes("\\") ? String(JSON.parse(`"${raw}"`)) : raw
}

/** Long keys are the sender's, and are not sent back whole. */
const pathOf = (open: ReadonlyArray<Container>): string =>
  open
    .map((container) => String(container.segment))
    .join(".")
    .slice(0, 200)
