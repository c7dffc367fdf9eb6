import { spawn } from "node:child_process"
import * as path from "node:path"
import { createInterface } from "node:readline"

/** Runs `StorageChild.ts` in a process of its own, and gives each line that it says. */
export const run = async (
  mode: string,
  url: string,
  /** Answers true to kill it, as `kill -9` does. */
  onLine: (said: Record<string, string>) => boolean = () => false,
  argument = ""
): Promise<{ readonly code: number | null; readonly signal: string | null; readonly errors: string }> => {
  const script = path.join(import.meta.dirname, "StorageChild.ts")
  const child = spawn(process.execPath, [script, mode, url, argument], { stdio: ["ignore", "pipe", "pipe"] })
  const exit = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once("close", (code, signal) => resolve({ code, signal }))
  )
  let errors = ""
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()))
  for await (const line of createInterface(child.stdout)) {
    if (line.startsWith("{") && onLine(JSON.parse(line))) child.kill("SIGKILL")
  }
  return { ...(await exit), errors }
}
