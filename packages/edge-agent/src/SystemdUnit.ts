import { ExitStatus } from "./ExitStatus.ts"

/**
 * A systemd unit that keeps the agent running: for the user, or for the machine where root installs it, then under
 * a user that systemd makes for it and with nothing that an agent has no use for.
 */
export const make = (options: {
  /** The command line of `edge-relay`, to which a subcommand is added. */
  readonly program: ReadonlyArray<string>
  readonly state: string
  readonly system: boolean
}): string => `[Unit]
Description=Edge Relay agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=${[...options.program, "run", "--state", options.state].map(quote).join(" ")}
Restart=always
RestartSec=5
# The token was revoked, or the configuration is wrong: starting again changes nothing.
RestartPreventExitStatus=${ExitStatus.revoked} ${ExitStatus.configuration}
# The agent drains for 10 s.
TimeoutStopSec=30
UMask=0077
${options.system ? systemHardening(options) : userHardening}

[Install]
WantedBy=${options.system ? "multi-user.target" : "default.target"}
`

/** What needs no rights of the service manager. V8 compiles at run time: no MemoryDenyWriteExecute. */
const userHardening = `NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM`

const systemHardening = (options: { readonly program: ReadonlyArray<string>; readonly state: string }) => {
  const stateDirectory = /^\/var\/lib\/([\w.-]+)$/.exec(options.state)?.[1]
  // Only below /var/lib can systemd give the folder to a user that it makes.
  const user =
    stateDirectory === undefined
      ? `ReadWritePaths=${quote(options.state)}`
      : `DynamicUser=yes\nStateDirectory=${stateDirectory}\nStateDirectoryMode=0700`
  const isInHome = [...options.program, options.state].some((path) => /^\/(?:home|root)\//.test(path))
  return `${user}
${userHardening}
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=${isInHome ? "read-only" : "yes"}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes`
}

/** systemd.service(5), "Command lines": quotes, backslashes, `%` and `$` are its own. */
const quote = (text: string): string =>
  `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%").replaceAll("$", "$$$$")}"`
