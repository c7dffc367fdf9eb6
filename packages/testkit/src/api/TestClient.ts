import { CloudApi } from "@edge-relay/domain/api/CloudApi"
import { Effect } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { TestApi } from "./TestApi.ts"

/** The client that the contract itself makes, as whoever has that cookie. */
export const clientOf = (cookie?: string) =>
  Effect.flatMap(TestApi, ({ url }) =>
    HttpApiClient.make(CloudApi, {
      baseUrl: url,
      transformClient: HttpClient.mapRequest((request) =>
        cookie === undefined ? request : HttpClientRequest.setHeader(request, "cookie", cookie)
      )
    })
  ).pipe(Effect.provide(FetchHttpClient.layer))
