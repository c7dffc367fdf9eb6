import { Effect, Layer } from "effect"
import { Command, Flag } from "effect/cli"
import { AgentState } from "../AgentState.ts"
import { cloudClient } from "../CloudClient.ts"
import { Pairing } from "../Pairing.ts"
import type { Surroundings } from "../Surroundings.ts"
import * as Facts from "./Facts.ts"
import * as StateFolder from "./StateFolder.ts"

/** `edge-relay unpair`: the opposite of `pair`, here and at the cloud. A running agent ends by itself. */
export const make = ({ environment, ...surroundings }: Surroundings) =>
  Command.make(
    "unpair",
    {
      local: Flag.Boolean("local").pipe(
        Flag.withDescription("Only forget the credentials here, where the cloud cannot be reached"),
        Flag.withDefault(false)
      ),
      json: Facts.flag,
      state: StateFolder.flag({ environment, ...surroundings })
    },
    ({ json, local, state: folder }) =>
      Effect.gen(function* () {
        const state = yield* AgentState
        const { caFile, cloudUrl, edgeId, token } = yield* state.read
        const url = new URL(cloudUrl)
        // Not before the cloud has agreed: the token is what it is asked by.
        if (!local) {
          yield* Pairing.use((pairing) => pairing.unpair(token)).pipe(
            Effect.provide(Pairing.layer(url).pipe(Layer.provide(cloudClient({ url, caFile, environment }))))
          )
        }
        yield* state.remove
        yield* Facts.print(json, { edgeId, cloudUrl, removedAtCloud: !local }, [
          local
            ? `Forgot ${edgeId}; it stays at ${cloudUrl} until it is removed in the console.`
            : `Unpaired: ${edgeId} is removed from ${cloudUrl}.`
        ])
      }).pipe(StateFolder.provide(folder))
  ).pipe(
    Command.withDescription(
      "End this machine's pairing: its token, its edge in the console, its credentials"
    ),
    Command.withExamples([
      { command: "edge-relay unpair", description: "Here and at the cloud" },
      { command: "edge-relay unpair --local", description: "Where the cloud is gone for good" }
    ])
  )
