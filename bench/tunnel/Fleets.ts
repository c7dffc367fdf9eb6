import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Child } from "./Child.ts"

export interface FleetReport {
  /** When the tunnels that stand now were ready, in milliseconds since 1970. */
  readonly upSince: ReadonlyArray<number>
  /** How tries and tunnels have ended since the last report, and how many did so. */
  readonly endings: Readonly<Record<string, number>>
}

/** Many agents, in a few processes. */
export class Fleets {
  readonly #children: ReadonlyArray<Child>

  /** The processes take the URLs in turn. */
  constructor(folder: string, urls: ReadonlyArray<string>, tokens: ReadonlyArray<string>, processes: number) {
    const size = Math.ceil(tokens.length / processes)
    this.#children = Array.from({ length: processes }, (_, index) => {
      const file = join(folder, `fleet-${index}.json`)
      writeFileSync(file, JSON.stringify(tokens.slice(index * size, (index + 1) * size)))
      return new Child(join(import.meta.dirname, "fleet.ts"), [urls[index % urls.length] ?? "", file])
    })
  }

  async report(): Promise<FleetReport> {
    const reports = await Promise.all(this.#children.map((child) => child.ask<FleetReport>("report")))
    const endings: Record<string, number> = {}
    for (const report of reports) {
      for (const [text, count] of Object.entries(report.endings)) endings[text] = (endings[text] ?? 0) + count
    }
    return { upSince: reports.flatMap(({ upSince }) => upSince), endings }
  }

  /** Waits until so many tunnels stand that were ready after `since`, at most so long; answers what is then. */
  async up(count: number, seconds: number, since = 0): Promise<FleetReport> {
    const deadline = performance.now() + seconds * 1000
    const endings: Record<string, number> = {}
    while (true) {
      const report = await this.report()
      for (const [text, times] of Object.entries(report.endings)) endings[text] = (endings[text] ?? 0) + times
      const upSince = report.upSince.filter((at) => at > since)
      if (upSince.length >= count || performance.now() > deadline) return { upSince, endings }
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
  }

  /** Processor time of all its processes since their start, in milliseconds. */
  async cpuMillis(): Promise<number> {
    const each = await Promise.all(this.#children.map((child) => child.cpuMillis()))
    return each.reduce((sum, millis) => sum + millis, 0)
  }

  async kill(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.kill()))
  }
}
