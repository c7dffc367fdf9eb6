/** What the gateway does with a header by its name: looked up by the name as it was spelt, without a copy. */
export class HeaderKinds<Kind> {
  readonly #classify: (lowerCaseName: string) => Kind
  readonly #known = new Map<string, Kind>()

  constructor(classify: (lowerCaseName: string) => Kind) {
    this.#classify = classify
  }

  of(name: string): Kind {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const kind = this.#classify(name.toLowerCase())
    // Senders choose names: past a thousand of them they are classified each time.
    if (this.#known.size < 1000 && name.length < 64) this.#known.set(name, kind)
    return kind
  }
}

/** RFC 9110 §7.6.1, and what older clients and servers send in their place. */
export const hopByHop: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-authentication-info",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade"
])

/** The names that a `Connection` header makes hop-by-hop, lower-case; undefined where it names nothing new. */
export const namedByConnection = (value: string): ReadonlySet<string> | undefined => {
  if (value === "keep-alive" || value === "close" || value === "Upgrade" || value === "") return undefined
  return new Set(
    value
      .toLowerCase()
      .split(",")
      .map((name) => name.trim())
  )
}
