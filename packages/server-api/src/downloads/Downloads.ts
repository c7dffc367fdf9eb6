import { Context, Effect, Layer, Semaphore } from "effect"
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import { Config } from "../Config.ts"

/** One file that machines may fetch. */
export interface Download {
  readonly name: string
  /** In bytes. */
  readonly size: number
  /** In hexadecimal. */
  readonly sha256: string
}

/**
 * What the operator has put into `DOWNLOADS_DIR` for machines that are to be paired. The folder is looked at each time,
 * so that a new version is offered without a restart; a file is hashed once.
 */
export class Downloads extends Context.Service<
  Downloads,
  {
    /** By name; empty where there is no folder, or it cannot be read. */
    readonly list: Effect.Effect<ReadonlyArray<Download>>
    /** Where a file lies, if it is offered. */
    readonly path: (name: string) => string
  }
>()("@edge-relay/server-api/downloads/Downloads") {
  static readonly layer = Layer.effect(
    Downloads,
    Effect.gen(function* () {
      const { downloadsDir } = yield* Config
      const known = new Map<string, Download & { readonly version: string }>()
      // Two who come at once do not read the same files twice.
      const turns = yield* Semaphore.make(1)

      const look = async (folder: string): Promise<ReadonlyArray<Download>> => {
        const found: Array<Download> = []
        for (const name of (await readdir(folder)).sort()) {
          const path = join(folder, name)
          const file = await stat(path)
          if (!isOffered(name) || !file.isFile()) continue
          const version = `${file.ino} ${file.size} ${file.mtimeMs}`
          let download = known.get(name)
          if (download?.version !== version) {
            download = { name, size: file.size, sha256: await sha256(path), version }
            known.set(name, download)
          }
          found.push({ name, size: download.size, sha256: download.sha256 })
        }
        return found
      }

      const list =
        downloadsDir === undefined
          ? Effect.succeed([])
          : Effect.tryPromise(() => look(downloadsDir)).pipe(
              turns.withPermits(1),
              Effect.catch((error) =>
                Effect.as(Effect.logError(`DOWNLOADS_DIR ${downloadsDir} cannot be read`, error.cause), [])
              )
            )

      return Downloads.of({ list, path: (name) => join(downloadsDir ?? "", name) })
    })
  )
}

/** A name without a folder in it, and nothing that is hidden or still being copied. */
const isOffered = (name: string): boolean => /^[A-Za-z0-9][\w.+-]{0,127}$/.test(name)

/** Whether there is something in it that `install.sh` can install. */
export const hasAgent = (files: ReadonlyArray<Download>): boolean =>
  files.some(({ name }) => /^edge-relay-(linux|darwin)-\w+\.gz$/.test(name))

const sha256 = async (path: string): Promise<string> => {
  const hash = createHash("sha256")
  await pipeline(createReadStream(path), hash)
  return hash.digest("hex")
}
