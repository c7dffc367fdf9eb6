import { execFile } from "node:child_process"
import { chmod, copyFile, mkdir, rm, stat, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import * as SystemdUnit from "@edge-relay/edge-agent/SystemdUnit"
import { root } from "./Bundles.ts"
import { manifest } from "./Manifest.ts"
import type { Target } from "./NodeBinary.ts"

const run = promisify(execFile)

/** Debian's names; there is a package for no other target. */
const architectures: Partial<Record<Target, string>> = { "linux-x64": "amd64", "linux-arm64": "arm64" }

export const hasDebianPackage = (target: Target): boolean => architectures[target] !== undefined

/** Where the service keeps its credentials. Its user may write there and nowhere else. */
const STATE = "/var/lib/edge-relay"

/**
 * The executable with its service, under a user of its own. The service is enabled from the start, and begins once
 * the machine is paired. Answers the package's name.
 */
export const debianPackage = async (options: {
  readonly executable: string
  readonly target: Target
  readonly licences: string
  readonly folder: string
  readonly scratch: string
  readonly version?: string
  /** dpkg-deb's `-Z`. xz would be a third smaller, and takes minutes. */
  readonly compression?: "gzip" | "none"
}): Promise<string> => {
  const { compression = "gzip", version = manifest.version } = options
  const architecture = architectures[options.target] ?? ""
  const contents = join(options.scratch, `deb-${architecture}`)
  await rm(contents, { recursive: true, force: true })
  const write = async (path: string, text: string, mode = 0o644) => {
    await mkdir(dirname(join(contents, path)), { recursive: true })
    await writeFile(join(contents, path), text)
    await chmod(join(contents, path), mode)
  }
  await mkdir(join(contents, "usr/bin"), { recursive: true })
  await copyFile(options.executable, join(contents, "usr/bin/edge-relay"))
  await chmod(join(contents, "usr/bin/edge-relay"), 0o755)
  await write("usr/share/doc/edge-relay/copyright", options.licences)
  await write("usr/lib/sysusers.d/edge-relay.conf", `u edge-relay - "Edge Relay agent" ${STATE}\n`)
  await write(
    "usr/lib/systemd/system/edge-relay.service",
    SystemdUnit.make({ program: ["/usr/bin/edge-relay"], state: STATE, system: true })
  )
  await write("usr/lib/systemd/system/edge-relay.service.d/package.conf", dropIn)
  const { size } = await stat(options.executable)
  await write("DEBIAN/control", control(version, architecture, Math.ceil(size / 1024)))
  for (const script of ["postinst", "prerm", "postrm"]) {
    await mkdir(join(contents, "DEBIAN"), { recursive: true })
    await copyFile(`${root}packaging/debian/${script}`, join(contents, "DEBIAN", script))
    await chmod(join(contents, "DEBIAN", script), 0o755)
  }
  const name = `edge-relay_${version}_${architecture}.deb`
  await run("dpkg-deb", [
    "--root-owner-group",
    `-Z${compression}`,
    "--build",
    contents,
    join(options.folder, name)
  ])
  await rm(contents, { recursive: true, force: true })
  return name
}

// The C library that Node is built against, and what makes the service's user.
const control = (version: string, architecture: string, kibibytes: number) => `Package: edge-relay
Version: ${version}
Architecture: ${architecture}
Maintainer: Edge Relay <edge-relay@localhost>
Installed-Size: ${kibibytes}
Depends: libc6 (>= 2.28), systemd | systemd-standalone-sysusers
Section: net
Priority: optional
Description: ${manifest.summary}
 The agent of Edge Relay: it dials out to the cloud and carries connections
 to services of this machine, which needs no open port and no public address.
`

const dropIn = `[Unit]
# Enabled from the start, begun once the machine is paired.
ConditionPathExists=${STATE}/credentials.json

[Service]
DynamicUser=no
User=edge-relay
Group=edge-relay
StateDirectory=edge-relay
StateDirectoryMode=0700
`
