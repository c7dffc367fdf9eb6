import { type AccessToken, AccessTokens } from "@edge-relay/domain/access-tokens/AccessTokens"
import { CloudApi } from "@edge-relay/domain/api/CloudApi"
import { NotFound } from "@edge-relay/domain/api/Problem"
import { CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import { DateTime, Effect, Option, Redacted } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as Audited from "./Audited.ts"
import * as Lists from "./Lists.ts"

/** A token without its owner, who is the one that asks. */
const view = ({ id, name, scopes, reach, createdAt, expiresAt, lastUsedAt, lastUsedFrom }: AccessToken) => ({
  id,
  name,
  scopes,
  edges: reach,
  createdAt,
  expiresAt,
  lastUsedAt,
  lastUsedFrom
})

const noSuchToken = new NotFound({ detail: "There is no such token." })

export const layer = HttpApiBuilder.group(
  CloudApi,
  "tokens",
  Effect.fnUntraced(function* (handlers) {
    const tokens = yield* AccessTokens
    const audited = yield* Audited.make

    return handlers.handleAll({
      create: ({ payload: { edges, expiresInSeconds, name, scopes } }) =>
        Effect.gen(function* () {
          const { issuer, role, subject, tenantId, userId } = yield* CurrentUser
          const { secret, token } = yield* audited.together(
            ({ token }) => ({ action: "access_token.created", detail: describe(token) }),
            tokens.create({
              tenantId,
              userId,
              issuer,
              subject,
              role,
              name,
              scopes,
              reach: edges === undefined ? null : { ids: edges.ids ?? [], labels: edges.labels ?? [] },
              expiresAt: DateTime.add(yield* DateTime.now, { seconds: expiresInSeconds })
            })
          )
          return { ...view(token), token: Redacted.value(secret) }
        }).pipe(Audited.orUnavailable),

      list: ({ query }) =>
        Effect.gen(function* () {
          const { tenantId, userId } = yield* CurrentUser
          const page = yield* Lists.page(query, (page) => tokens.list(tenantId, userId, page))
          return { ...page, items: page.items.map(view) }
        }).pipe(Audited.orUnavailable),

      revoke: ({ params: { id } }) =>
        Effect.gen(function* () {
          const { tenantId, userId } = yield* CurrentUser
          yield* audited.together(
            (token: AccessToken) => ({ action: "access_token.revoked", detail: describe(token) }),
            Effect.flatMap(tokens.revoke(tenantId, userId, id), (revoked) =>
              Option.isSome(revoked) ? Effect.succeed(revoked.value) : Effect.fail(noSuchToken)
            )
          )
        }).pipe(Audited.orUnavailable)
    })
  })
)

const describe = ({ id, scopes }: AccessToken): string => `${id}: ${scopes.join(", ")}`
