/**
 * What a process of ours ends with. Supervisors act on it: only `revoked` and `configuration` stay as they are
 * however often the agent is started again.
 */
export const ExitStatus = {
  done: 0,
  /** Whatever has no status of its own, a crash included. */
  failed: 1,
  usage: 2,
  revoked: 3,
  notPaired: 4,
  /** EX_CONFIG of sysexits.h. */
  configuration: 78
} as const

export type ExitStatus = (typeof ExitStatus)[keyof typeof ExitStatus]

/** As `--help` lists them. */
export const explained = [
  [ExitStatus.done, "done"],
  [ExitStatus.failed, "it could not be done: the message says why"],
  [ExitStatus.usage, "the command line is wrong"],
  [ExitStatus.revoked, "the cloud has revoked this machine's token"],
  [ExitStatus.notPaired, "this machine is not paired"],
  [ExitStatus.configuration, "the configuration is wrong: credentials, certificates, a proxy's address"]
] as const

/** Of an error, by its tag. */
export const exitStatusOf = (error: unknown): ExitStatus => {
  const tag = typeof error === "object" && error !== null && "_tag" in error ? error._tag : undefined
  return (typeof tag === "string" ? statuses[tag] : undefined) ?? ExitStatus.failed
}

const statuses: Readonly<Record<string, ExitStatus>> = {
  ShowHelp: ExitStatus.usage,
  TunnelRevoked: ExitStatus.revoked,
  NotPaired: ExitStatus.notPaired,
  StateUnusable: ExitStatus.configuration,
  SocketUnusable: ExitStatus.configuration,
  AuthoritiesUnusable: ExitStatus.configuration,
  ProxyUnusable: ExitStatus.configuration
}
