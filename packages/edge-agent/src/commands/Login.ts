import { Console, Effect } from "effect"
import { Command } from "effect/cli"
import { hostname } from "node:os"
import { defaultFolder } from "../AgentState.ts"
import * as CloudAccess from "../client/CloudAccess.ts"
import * as Login from "../client/Login.ts"
import * as LoginFile from "../client/LoginFile.ts"
import type { Surroundings } from "../Surroundings.ts"

const { ca, url } = CloudAccess.flags

/** `edge-relay login`: this terminal acts for a person, who approves it in a browser. */
export const make = ({ environment, home }: Surroundings) =>
  Command.make(
    "login",
    { ca, url },
    Effect.fn(function* (flags) {
      const folder = defaultFolder(environment, home)
      const cloud = yield* CloudAccess.cloud(flags, environment, folder)
      const begun = yield* Login.begin(cloud, hostname())
      yield* Console.log(
        `Open ${begun.verificationUriComplete}\nand approve the code ${begun.userCode}. Waiting for up to ${Math.round(begun.expiresIn / 60)} minutes …`
      )
      const login = yield* Effect.flatMap(Login.wait(cloud, begun), (given) =>
        Login.toLogin(cloud.url, given)
      )
      yield* LoginFile.write(folder, login)
      yield* Console.log(`Signed in to ${cloud.url.origin} until ${login.endsAt}.`)
    })
  ).pipe(
    Command.withDescription("Sign in from this terminal, by approving it in a browser"),
    Command.withExamples([
      {
        command: "edge-relay login --url https://relay.example.com",
        description: "Then forward, connect, ssh"
      }
    ])
  )

/** `edge-relay logout` */
export const makeLogout = ({ environment, home }: Surroundings) =>
  Command.make(
    "logout",
    { ca },
    Effect.fn(function* (flags) {
      const folder = defaultFolder(environment, home)
      const login = yield* LoginFile.read(folder)
      const cloud = yield* CloudAccess.cloud(
        { ...flags, url: CloudAccess.urlOfLogin(login) },
        environment,
        folder
      )
      // A token that has expired by now cannot end its sign-in: the next one can.
      yield* Login.token(cloud, folder).pipe(
        Effect.flatMap(() => LoginFile.read(folder)),
        Effect.flatMap((current) => Login.end(cloud, current)),
        Effect.ensuring(LoginFile.remove(folder))
      )
      yield* Console.log(`Signed out of ${login.cloudUrl}.`)
    })
  ).pipe(
    Command.withDescription("End the sign-in of this terminal, here and in the cloud"),
    Command.withExamples([{ command: "edge-relay logout", description: "On a machine that you leave" }])
  )
