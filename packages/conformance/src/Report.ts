/** What a conformance run finds out: a list of checks, each of one endpoint, passed, differing or skipped. */
import { EdgeApi } from "@edge-relay/domain/edge-api/EdgeApi"
import { Context, Effect, Layer, Ref, Schema } from "effect"

/** What was answered is not what the contract says. */
export class Differs extends Schema.TaggedError<Differs>()("Differs", { message: Schema.String }) {}

export interface CheckResult {
  /** Group and name in the contract, as `devices.get`. */
  readonly endpoint: string
  readonly title: string
  readonly outcome: "passed" | "differs" | "skipped"
  /** What differs, or why it was skipped; empty where it passed. */
  readonly detail: string
}

export class ConformanceReport extends Context.Service<
  ConformanceReport,
  {
    readonly results: Effect.Effect<ReadonlyArray<CheckResult>>
    /** Runs one check and notes how it went; gives its value, or `undefined` where it differs. */
    readonly check: <A, R>(
      endpoint: string,
      title: string,
      body: Effect.Effect<A, Differs, R>
    ) => Effect.Effect<A | undefined, never, R>
    readonly skip: (endpoint: string, title: string, why: string) => Effect.Effect<void>
  }
>()("@edge-relay/conformance/Report") {
  static readonly layer = Layer.effect(
    ConformanceReport,
    Effect.gen(function* () {
      const results = yield* Ref.make<ReadonlyArray<CheckResult>>([])
      const note = (result: CheckResult) => Ref.update(results, (all) => [...all, result])

      return ConformanceReport.of({
        results: Ref.get(results),
        check: (endpoint, title, body) =>
          Effect.matchEffect(body, {
            onSuccess: (value) => Effect.as(note({ endpoint, title, outcome: "passed", detail: "" }), value),
            onFailure: ({ message }) =>
              Effect.as(note({ endpoint, title, outcome: "differs", detail: message }), undefined)
          }),
        skip: (endpoint, title, why) => note({ endpoint, title, outcome: "skipped", detail: why })
      })
    })
  )
}

export interface ContractEndpoint {
  readonly group: string
  readonly name: string
  /** `group.name`. */
  readonly id: string
  readonly method: string
  /** With its parameters, as `/devices/:deviceId`. */
  readonly path: string
  /** Content types that its body may have. */
  readonly contentTypes: ReadonlyArray<string>
}

/** Every endpoint of the contract, in its order. */
export const contractEndpoints: ReadonlyArray<ContractEndpoint> = Object.values(EdgeApi.groups).flatMap(
  (group) =>
    Object.values(group.endpoints).map((endpoint) => ({
      group: group.identifier,
      name: endpoint.identifier,
      id: `${group.identifier}.${endpoint.identifier}`,
      method: endpoint.method,
      path: endpoint.path,
      contentTypes: [...endpoint.payload.keys()]
    }))
)
