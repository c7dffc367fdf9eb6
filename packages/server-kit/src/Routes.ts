/** The routes of a server as data: which methods a path has, for `Allow` and 405 (RFC 9110 §15.5.6). */

/** `path` as in a router: `:name` or `*` stands for one segment. */
export interface Route {
  readonly method: string
  readonly path: string
}

/** Of an `HttpApi` value. */
export const ofApi = (api: {
  readonly groups: {
    readonly [name: string]: {
      readonly endpoints: { readonly [name: string]: { readonly method: unknown; readonly path: unknown } }
    }
  }
}): ReadonlyArray<Route> =>
  Object.values(api.groups).flatMap((group) =>
    Object.values(group.endpoints).map(({ method, path }) => ({ method: String(method), path: String(path) }))
  )

/** Answers the methods of a path, sorted; none where there is no such path. Where there is GET there is HEAD. */
export const methodsOf = (routes: ReadonlyArray<Route>): ((path: string) => ReadonlyArray<string>) => {
  const table = routes.map(({ method, path }) => ({ method, segments: path.split("/") }))
  return (path) => {
    const asked = path.split("/")
    const methods = new Set(
      table
        .filter(
          ({ segments }) =>
            segments.length === asked.length &&
            segments.every((segment, index) =>
              segment === "*" || segment.startsWith(":") ? asked[index] !== "" : segment === asked[index]
            )
        )
        .map(({ method }) => method)
    )
    if (methods.has("GET")) methods.add("HEAD")
    return Array.from(methods).sort()
  }
}
