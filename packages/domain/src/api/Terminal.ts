import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { TokenScope } from "../access-tokens/TokenScope.ts"
import { NeededRole } from "../sign-in/Role.ts"
import { Authorization } from "./Authorization.ts"
import { BodyRules, ChangeLimit, Conventions } from "./Conventions.ts"
import { NewRequest } from "./Pairing.ts"
import { PlainText } from "./PlainText.ts"
import {
  AccessDenied,
  AuthorizationPending,
  ExpiredToken,
  InvalidGrant,
  NotFound,
  SlowDown,
  StorageUnavailable,
  TooManyRequests
} from "./Problem.ts"
import { Timestamp } from "./Timestamp.ts"

/** As a person types it: case, spaces and hyphens do not matter. */
const TypedCode = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(64))
const Secret = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(128))

/** What a terminal keeps. Both tokens are replaced by each refresh; `expiresIn` in seconds. */
export const TerminalTokens = Schema.Struct({
  accessToken: Schema.String,
  expiresIn: Schema.Int,
  refreshToken: Schema.String,
  /** When one has to sign in anew. */
  endsAt: Timestamp
}).annotate({ identifier: "TerminalTokens" })

/** What a terminal calls before it has a token, or to have the next one. */
export class TerminalApi extends HttpApiGroup.make("terminal")
  .add(
    HttpApiEndpoint.post("begin", "/api/auth/terminal/requests", {
      payload: Schema.Struct({ hostname: PlainText(253) }),
      success: NewRequest.pipe(HttpApiSchema.status(201)),
      error: [TooManyRequests, StorageUnavailable]
    }),
    HttpApiEndpoint.post("poll", "/api/auth/terminal/requests/poll", {
      payload: Schema.Struct({ deviceCode: Secret }),
      success: TerminalTokens,
      error: [AuthorizationPending, SlowDown, AccessDenied, ExpiredToken, TooManyRequests, StorageUnavailable]
    }),
    HttpApiEndpoint.post("refresh", "/api/auth/terminal/refresh", {
      payload: Schema.Struct({ refreshToken: Secret }),
      success: TerminalTokens,
      error: [InvalidGrant, TooManyRequests, StorageUnavailable]
    })
  )
  .middleware(BodyRules)
  .middleware(Conventions)
  .annotateMerge(
    OpenApi.annotations({
      title: "Terminal",
      description: "How a person signs in from a terminal (RFC 8628)."
    })
  ) {}

/** As `PairingRequest` has them: `address` and `ageSeconds` are ours, and looked at first; the name is its own. */
export const TerminalRequestView = Schema.Struct({
  userCode: Schema.String,
  address: Schema.NullOr(Schema.String),
  ageSeconds: Schema.Int,
  hostname: Schema.String,
  shown: Schema.Struct({ hostname: Schema.String }),
  createdAt: Timestamp,
  expiresAt: Timestamp
}).annotate({ identifier: "TerminalRequest" })

const params = { userCode: TypedCode }

/** What somebody who is signed in decides about a terminal; and how a terminal signs itself out. */
export class TerminalDecisionsApi extends HttpApiGroup.make("terminalDecisions")
  .add(
    HttpApiEndpoint.get("get", "/api/auth/terminal/requests/:userCode", {
      params,
      success: TerminalRequestView,
      error: [NotFound, TooManyRequests]
    }),
    HttpApiEndpoint.post("approve", "/api/auth/terminal/requests/:userCode/approve", {
      params,
      success: HttpApiSchema.NoContent,
      error: [NotFound, TooManyRequests]
    }),
    HttpApiEndpoint.post("deny", "/api/auth/terminal/requests/:userCode/deny", {
      params,
      success: HttpApiSchema.NoContent,
      error: [NotFound, TooManyRequests]
    }),
    HttpApiEndpoint.delete("end", "/api/auth/terminal", {
      success: HttpApiSchema.NoContent,
      error: NotFound
    }).annotate(TokenScope, "any")
  )
  .annotateEndpoints(NeededRole, "viewer")
  .middleware(BodyRules)
  .middleware(ChangeLimit)
  .middleware(Authorization)
  .middleware(Conventions)
  .annotateMerge(
    OpenApi.annotations({
      title: "Terminals",
      description: "Sign-ins from terminals, and who approves them."
    })
  ) {}
