import { freePorts } from "./Program.ts"
import * as ConsolePage from "./ConsolePage.ts"
import type { ProgramsInBrowser, RealProgram } from "./RealPrograms.ts"

/**
 * What every real program must do on an edge's own host: its main function from the console by a click, after a
 * reload, in two tabs, and from a deep link in a browser that has no session there yet.
 */
export const worksOnItsOwnHost = async (system: ProgramsInBrowser, program: RealProgram): Promise<void> => {
  const [port = 0] = await freePorts(1)
  await system.with(program, port, async (page, home) => {
    const { origin } = new URL(page.url())
    await program.use(page, home)
    await page.reload()
    await program.use(page, home)
    const other = await system.context.newPage()
    await other.goto(origin)
    await program.use(other, home)
    await program.use(page, home)
    await other.close()

    // Somebody who has no session anywhere follows a link into it, and lands where it leads.
    const fresh = await system.newContext()
    try {
      const deep = await fresh.newPage()
      await deep.goto(origin + program.deep.path)
      await ConsolePage.chooseAtProvider(deep, "alice")
      await deep.waitForURL((url) => url.origin === origin)
      await program.deep.works(deep)
      // The end of that session ends it here too, at once.
      const ended = await deep.evaluate(async (path) => {
        const answer = await fetch(path, { redirect: "manual" })
        return answer.status
      }, program.deep.path)
      if (ended >= 400) throw new Error(`signed in, it answers ${ended}`)
      const ours = await fresh.newPage()
      await ours.goto(system.at.api)
      await ConsolePage.signOut(ours)
      await ours.waitForURL((url) => !url.href.startsWith(`${system.at.api}/api`))
      const after = await deep.evaluate(async (path) => (await fetch(path)).status, program.deep.path)
      if (after !== 401) throw new Error(`signed out, it answers ${after}`)
    } finally {
      await fresh.close()
    }
  })
}
