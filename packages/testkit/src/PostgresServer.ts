import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { createInterface } from "node:readline"

/**
 * A real Postgres on a free port of loopback, with its files in a folder of its own, for as long as a test needs
 * it. Postgres refuses to run as root, so that it is run as `nobody` there.
 */

/** Where `initdb` and `postgres` are: on the PATH, or where Debian keeps them apart from it. */
const bin = (() => {
  const debian = "/usr/lib/postgresql"
  const versions = fs.existsSync(debian)
    ? fs.readdirSync(debian).map((version) => path.join(debian, version, "bin"))
    : []
  const folders = [...(process.env["PATH"] ?? "").split(path.delimiter), ...versions]
  return folders.find((folder) => folder !== "" && fs.existsSync(path.join(folder, "initdb")))
})()

/** False where there is no Postgres to start: then tests of it are skipped, by name. */
export const isInstalled = bin !== undefined

const nobody = 65_534
const user = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {}

const freePort = async (): Promise<number> => {
  const server = net.createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("no port")
  return address.port
}

export class PostgresServer {
  readonly port: number
  private readonly folder: string
  private process: ChildProcess | undefined

  private constructor(folder: string, port: number) {
    this.folder = folder
    this.port = port
  }

  /** A new cluster, not running yet. */
  static async create(): Promise<PostgresServer> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "edge-relay-pg-"))
    if (user.uid !== undefined) fs.chownSync(folder, user.uid, user.gid)
    const made = spawnSync(
      path.join(bin ?? "", "initdb"),
      [
        "-D",
        path.join(folder, "data"),
        "-U",
        "edge",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "--no-sync"
      ],
      { ...user, cwd: folder, encoding: "utf8" }
    )
    if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`)
    return new PostgresServer(folder, await freePort())
  }

  /** No time-out for connecting: it would run on a test's clock, which jumps while a real connection is made. */
  url(database = "postgres"): string {
    return `postgres://edge@127.0.0.1:${this.port}/${database}?connect_timeout=0`
  }

  /** Resolves once it takes connections. */
  async start(): Promise<void> {
    const settings = { listen_addresses: "127.0.0.1", unix_socket_directories: "", fsync: "off" }
    const child = spawn(
      path.join(bin ?? "", "postgres"),
      [
        "-D",
        path.join(this.folder, "data"),
        "-p",
        String(this.port),
        ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])
      ],
      { ...user, cwd: this.folder, stdio: ["ignore", "ignore", "pipe"] }
    )
    this.process = child
    const said: Array<string> = []
    for await (const line of createInterface(child.stderr)) {
      said.push(line)
      if (line.includes("ready to accept connections")) {
        child.stderr.resume()
        return
      }
    }
    throw new Error(`postgres did not start: ${said.join("\n")}`)
  }

  /** Ends it as a crash would: connections break off, nothing is written any more. */
  async stop(): Promise<void> {
    const child = this.process
    this.process = undefined
    if (child === undefined || child.exitCode !== null) return
    const exit = once(child, "exit")
    child.kill("SIGQUIT")
    await exit
  }

  async remove(): Promise<void> {
    await this.stop()
    fs.rmSync(this.folder, { recursive: true, force: true })
  }
}
