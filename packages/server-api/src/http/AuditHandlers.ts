import { CloudApi } from "@edge-relay/domain/api/CloudApi"
import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as Audited from "./Audited.ts"
import * as Lists from "./Lists.ts"

export const layer = HttpApiBuilder.group(
  CloudApi,
  "audit",
  Effect.fnUntraced(function* (handlers) {
    const audit = yield* AuditLog

    return handlers.handleAll({
      list: ({ query: { action, edgeId, ...query } }) =>
        Effect.gen(function* () {
          const { tenantId } = yield* CurrentUser
          return yield* Lists.page(query, (page) => audit.list(tenantId, { ...page, action, edgeId }))
        }).pipe(Audited.orUnavailable)
    })
  })
)
