import { ExitStatus } from "./ExitStatus.ts"

/** A systemd unit that keeps the agent running: for the user, or for the machine where root installs it. */
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
NoNewPrivileges=true
ProtectSystem=full
PrivateTmp=true

[Install]
WantedBy=${options.system ? "multi-user.target" : "default.target"}
`

/** systemd.service(5), "Command lines": quotes, backslashes, `%` and `$` are its own. */
const quote = (text: string): string =>
  `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%").replaceAll("$", "$$$$")}"`
