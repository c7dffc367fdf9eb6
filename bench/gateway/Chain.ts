import type { Program } from "./Program.ts"

/** What stands between a browser and an origin: two or three processes, asked at `url` with `cookie`. */
export interface Chain {
  readonly name: string
  /** Of the edge's local server, without a slash at the end. */
  readonly url: string
  readonly cookie: string
  readonly programs: ReadonlyArray<Program>
  /** Opens idle tunnels beside the one that is measured; answers how to close them. */
  readonly openIdle: (count: number) => Promise<() => Promise<void>>
}
