import { PublicApi } from "@edge-relay/domain/api/CloudApi"

/**
 * Every path that the server knows, with its methods: those of the contract, and the few beside it. For `Allow`,
 * and for the test that nothing else is reachable.
 */

/** Beside the contract: documents, the console's pages and files. `*` stands for one segment. */
export const pages = ["/", "/pair", "/edges", "/edges/*", "/audit", "/settings"] as const
export const files = ["/app.js", "/style.css", "/favicon.svg"] as const
export const documents = ["/openapi.json", "/docs"] as const

const segment = "[^/]+"

const table: ReadonlyArray<{ readonly pattern: RegExp; readonly method: string }> = [
  ...Object.values(PublicApi.groups).flatMap((group) =>
    Object.values(group.endpoints).map(({ method, path }) => ({
      pattern: new RegExp(`^${path.replaceAll(/:[A-Za-z]+/g, segment)}$`),
      method: String(method)
    }))
  ),
  ...[...pages, ...files, ...documents].map((path) => ({
    pattern: new RegExp(`^${path.replaceAll(".", "\\.").replaceAll("*", segment)}$`),
    method: "GET"
  }))
]

/** The methods of a path, sorted; none where there is no such path. Where there is GET there is HEAD. */
export const methodsOf = (path: string): ReadonlyArray<string> => {
  const methods = new Set(table.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method))
  if (methods.has("GET")) methods.add("HEAD")
  return Array.from(methods).sort()
}
