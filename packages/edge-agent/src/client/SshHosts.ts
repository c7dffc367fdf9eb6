/** The `Host` lines of ssh_config(5) for edges. */

export interface SshOptions {
  readonly service: string
  readonly user: string | undefined
  /** What connects, but for the edge and the service. */
  readonly command: ReadonlyArray<string>
  /** A file of its own for host keys: an edge is known by its id, whatever it is called. */
  readonly knownHosts: string
}

export const format = (
  edges: ReadonlyArray<{ readonly id: string; readonly name: string }>,
  options: SshOptions
): string => {
  const names = new Map(edges.map(({ id, name }) => [id, slug(name)]))
  const taken = Map.groupBy(names.values(), (name) => name)
  return edges
    .map(({ id, name }) => {
      const called = names.get(id) ?? ""
      const isAlone = called !== "" && taken.get(called)?.length === 1
      const host = isAlone ? called : [called, id.slice(-6)].filter((part) => part !== "").join("-")
      return [
        `# ${name}`,
        `Host ${host}.edge`,
        `  HostName ${id}`,
        ...(options.user === undefined ? [] : [`  User ${options.user}`]),
        `  ProxyCommand ${[...options.command, id, options.service].map(quote).join(" ")}`,
        // The first key that an edge shows is its key from then on.
        `  HostKeyAlias ${id}`,
        "  StrictHostKeyChecking accept-new",
        `  UserKnownHostsFile ${quotePath(options.knownHosts)}`,
        "  CheckHostIP no"
      ].join("\n")
    })
    .join("\n\n")
}

/** What a name is as a host: lower case, letters, digits and hyphens. */
const slug = (name: string): string =>
  name
    .normalize("NFKD")
    // The marks that NFKD took off their letters.
    .replaceAll(/\p{M}/gu, "")
    .toLowerCase()
    .replaceAll(/[^a-z\d]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")

/** For the shell that ssh starts; ssh itself takes `%` for the start of a token. */
const quote = (word: string): string => {
  const escaped = word.replaceAll("%", "%%")
  return /^[\w@%+=:,./-]+$/.test(word) ? escaped : `'${escaped.replaceAll("'", `'\\''`)}'`
}

const quotePath = (path: string): string => `"${path.replaceAll("%", "%%")}"`
