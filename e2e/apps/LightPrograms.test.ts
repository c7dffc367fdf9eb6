import { afterAll, beforeAll, describe, it } from "vitest"
import { chromiumPath } from "@edge-relay/testkit/Chromium"
import { ProgramsInBrowser } from "@edge-relay/testkit/RealPrograms"
import { worksOnItsOwnHost } from "@edge-relay/testkit/RealProgramTest"
import { django, httpServer, viteServer } from "./LightPrograms.ts"

describe.skipIf(chromiumPath === undefined)(
  "an unchanged program on its edge's own host, in Chromium",
  () => {
    let system: ProgramsInBrowser
    beforeAll(async () => {
      system = await ProgramsInBrowser.start()
    })
    afterAll(() => system[Symbol.asyncDispose]())

    for (const program of [httpServer, viteServer, django]) {
      it.skipIf(program.command === undefined)(
        `works: ${program.name}`,
        () => worksOnItsOwnHost(system, program),
        180_000
      )
    }
  }
)
