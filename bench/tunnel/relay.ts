import { connect, createServer, type Socket } from "node:net"

/**
 * `relay.ts HOST PORT`: a TCP relay to that port, as a router in between is one. Prints the port it listens on. Told
 * "cut" over IPC, it breaks off every connection at once, both ends of it, and takes new ones.
 */

const [host = "", port = ""] = process.argv.slice(2)

/** Each with the proxy's end of it. */
const pairs = new Map<Socket, Socket>()

/** One end of each connection is broken off, the other is about to be. */
let isCut = false

/** For the proxy to notice first: on a machine of its own it would not share the processors with the agents that do. */
const AGENTS_MILLIS = 1_000

const server = createServer({ noDelay: true }, (client) => {
  const upstream = connect({ host, port: Number(port), noDelay: true })
  pairs.set(client, upstream)
  client.on("close", () => pairs.delete(client))
  for (const [from, to] of [
    [client, upstream],
    [upstream, client]
  ] as const) {
    from.on("error", () => undefined)
    from.on("close", () => {
      if (!isCut) to.destroy()
    })
    from.pipe(to)
  }
})
server.listen({ host: "127.0.0.1", port: 0, backlog: 20_000 }, () => {
  const address = server.address()
  if (typeof address === "object" && address !== null) process.stdout.write(`listening on ${address.port}\n`)
})

process.on("message", ({ id }: { readonly id: number }) => {
  isCut = true
  const cut = Array.from(pairs)
  // All of the proxy's, then all of the agents', which do not share a machine elsewhere.
  for (const [, upstream] of cut) upstream.resetAndDestroy()
  setTimeout(() => {
    isCut = false
    for (const [client] of cut) client.resetAndDestroy()
    process.send?.({ id, answer: cut.length })
  }, AGENTS_MILLIS)
})
