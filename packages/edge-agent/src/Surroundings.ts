/** The process's surroundings, taken once in `main.ts`. */
export interface Surroundings {
  readonly version: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly home: string
  /** How this program is started again by systemd: one executable, or Node and a script. */
  readonly program: ReadonlyArray<string>
  readonly isRoot: boolean
  /** Whether systemd is this machine's service manager, as sd_booted(3) finds out. */
  readonly isBooted: boolean
}
