/**
 * Checks that follow from the contract alone, tried on every endpoint of it: unknown ids, ids that cannot be, methods
 * that a path does not have, bodies that do not decode. None of them can change anything: each is to be refused.
 */
import { maxJsonBytes } from "@edge-relay/domain/edge-api/EdgeApi"
import { Effect } from "effect"
import { ConformanceClient } from "./EdgeClient.ts"
import { contentType, expect, problem, status } from "./Expectations.ts"
import { ConformanceReport, type ContractEndpoint, contractEndpoints } from "./Report.ts"
import { encodeJpeg } from "./JpegEncoder.ts"

const unknownId = "no-such-thing"
const impossibleId = "%20not%20an%20id%20"

/** Well-formed bodies, so that only the id is at fault. */
const bodies: Readonly<Record<string, string>> = {
  "firmware.flash": JSON.stringify({ modelId: unknownId }),
  "clusters.create": JSON.stringify({ name: "conformance", deviceIds: [unknownId] }),
  "clusters.update": JSON.stringify({ name: "conformance" })
}

/** A small grey picture. */
export const sampleImage = encodeJpeg({ width: 32, height: 16, rgb: new Uint8Array(32 * 16 * 3).fill(128) })

const requestOf = (endpoint: ContractEndpoint, id: string) => {
  const [type] = endpoint.contentTypes
  return {
    method: endpoint.method,
    path: endpoint.path.replace(/:[A-Za-z]+/, id),
    ...(type === undefined ? {} : { headers: { "content-type": type } }),
    ...(type === undefined
      ? {}
      : { body: type === "application/json" ? (bodies[endpoint.id] ?? "{}") : sampleImage })
  }
}

export const checkContract = Effect.fn("checkContract")(function* (group: string) {
  const client = yield* ConformanceClient
  const { check } = yield* ConformanceReport
  const endpoints = contractEndpoints.filter((endpoint) => endpoint.group === group)

  for (const endpoint of endpoints.filter(({ path }) => path.includes(":"))) {
    // An upload under an id of the client's choice makes what it names.
    if (endpoint.method !== "PUT") {
      yield* check(
        endpoint.id,
        "answers 404 for an unknown id",
        Effect.flatMap(client.ask(requestOf(endpoint, unknownId)), (answer) => problem(answer, "not_found"))
      )
    }
    yield* check(
      endpoint.id,
      "refuses an id that cannot be",
      Effect.flatMap(client.ask(requestOf(endpoint, impossibleId)), (answer) =>
        problem(answer, "invalid_request", "not_found")
      )
    )
  }

  for (const endpoint of endpoints.filter(({ contentTypes }) => contentTypes.includes("application/json"))) {
    yield* checkJsonBody(endpoint)
  }

  for (const path of new Set(endpoints.map(({ path }) => path))) {
    const declared = contractEndpoints
      .filter((endpoint) => endpoint.path === path)
      .map(({ method }) => method)
    const method = ["DELETE", "PUT", "PATCH", "POST"].find((each) => !declared.includes(each)) ?? "TRACE"
    const [first] = endpoints.filter((endpoint) => endpoint.path === path)
    if (first === undefined) continue
    yield* check(
      first.id,
      `answers 405 to ${method}, and says what its path takes`,
      Effect.gen(function* () {
        const answer = yield* client.ask({ method, path: path.replace(/:[A-Za-z]+/, unknownId) })
        yield* problem(answer, "method_not_allowed")
        const allow = (answer.headers["allow"] ?? "").split(",").map((each) => each.trim())
        yield* expect(
          declared.every((each) => allow.includes(each)),
          `expected Allow to name ${declared.join(", ")}, got "${answer.headers["allow"] ?? ""}"`
        )
      })
    )
  }
})

/** An unknown id wherever there is one to give: an edge that takes what it should refuse then still does nothing. */
const checkJsonBody = Effect.fnUntraced(function* (endpoint: ContractEndpoint) {
  const client = yield* ConformanceClient
  const { check } = yield* ConformanceReport
  const { method, path } = requestOf(endpoint, unknownId)
  // Whether the id or the body is looked at first is the edge's own affair.
  const refusal = path.includes(unknownId)
    ? (["invalid_request", "not_found"] as const)
    : (["invalid_request"] as const)
  const send = (body: string | Uint8Array, type = "application/json") =>
    client.ask({ method, path, body, headers: { "content-type": type } })

  const broken: ReadonlyArray<readonly [string, string | Uint8Array]> = [
    ["a body that is not JSON", "{"],
    ["a body that is not UTF-8", Uint8Array.of(0x22, 0xff, 0xfe, 0x22)],
    ["a body of the wrong type", "[[[]]]"],
    [
      "a field that it does not know",
      JSON.stringify({ ...JSON.parse(bodies[endpoint.id] ?? "{}"), surprise: 1 })
    ]
  ]
  for (const [what, body] of broken) {
    yield* check(
      endpoint.id,
      `refuses ${what}`,
      Effect.flatMap(send(body), (answer) => problem(answer, ...refusal))
    )
  }
  yield* check(
    endpoint.id,
    "refuses another content type",
    Effect.flatMap(send("<a/>", "application/xml"), (answer) =>
      problem(answer, "unsupported_media_type", ...(path.includes(unknownId) ? (["not_found"] as const) : []))
    )
  )
  yield* check(
    endpoint.id,
    "refuses more than 1 MiB of JSON",
    Effect.gen(function* () {
      const answer = yield* client.announce(
        { method, path, headers: { "content-type": "application/json" } },
        maxJsonBytes + 1
      )
      yield* status(answer, 413)
      yield* contentType(answer, "application/problem+json")
    })
  )
})
