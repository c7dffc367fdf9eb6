import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { userInfo } from "node:os"
import { join } from "node:path"
import { freePorts } from "./Program.ts"

/** A real `sshd` on a free port of loopback, for whoever runs the tests, by a key of its own. */

const sshd = "/usr/sbin/sshd"

/** False where `sshd`, `ssh`, `scp` or `rsync` are missing: then tests of them are skipped, by name. */
export const isInstalled = [sshd, "/usr/bin/ssh", "/usr/bin/scp", "/usr/bin/rsync"].every(existsSync)

export class SshServer implements AsyncDisposable {
  readonly port: number
  readonly user = userInfo().username
  /** The client's private key. */
  readonly identity: string
  output = ""
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>

  private constructor(folder: string, port: number) {
    this.port = port
    this.identity = join(folder, "client")
    // What it keeps apart its unprivileged part in; Debian's package makes it when it starts the service.
    if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 })
    for (const key of ["client", "host"]) {
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, key)])
    }
    writeFileSync(join(folder, "authorized"), readFileSync(`${this.identity}.pub`), { mode: 0o600 })
    const config = [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${join(folder, "host")}`,
      `AuthorizedKeysFile ${join(folder, "authorized")}`,
      "PermitRootLogin prohibit-password",
      "PasswordAuthentication no",
      // The folders above are those of a test.
      "StrictModes no",
      "UsePAM no",
      "UseDNS no",
      "PidFile none",
      // Every connection comes from one address.
      "MaxStartups 100",
      "Subsystem sftp internal-sftp"
    ]
    writeFileSync(join(folder, "config"), `${config.join("\n")}\n`)
    this.#child = spawn(sshd, ["-D", "-e", "-f", join(folder, "config")], {
      stdio: ["ignore", "ignore", "pipe"]
    })
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.output += text))
    this.#exited = new Promise((resolve) => this.#child.once("exit", resolve))
  }

  static async start(folder: string): Promise<SshServer> {
    const [port = 0] = await freePorts(1)
    const server = new SshServer(folder, port)
    for (let tries = 0; !server.output.includes("Server listening"); tries++) {
      if (tries > 600) throw new Error(`sshd does not listen: ${server.output}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return server
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM")
    await this.#exited
  }
}
