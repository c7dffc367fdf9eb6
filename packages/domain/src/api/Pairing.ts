import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { TokenScope } from "../access-tokens/TokenScope.ts"
import { PairingCodeId } from "../ids/PairingCodeId.ts"
import { EdgeId } from "../ids/EdgeId.ts"
import { Authorization } from "./Authorization.ts"
import { BodyRules, ChangeLimit, Conventions } from "./Conventions.ts"
import { Page, pageQuery } from "./Page.ts"
import { EdgeName, PlainText } from "./PlainText.ts"
import {
  AccessDenied,
  AuthorizationPending,
  ExpiredToken,
  InvalidCode,
  NotFound,
  SlowDown,
  StorageUnavailable,
  TooManyRequests
} from "./Problem.ts"
import { Timestamp } from "./Timestamp.ts"

const Hostname = PlainText(253)
/** As a person types it: case, spaces and hyphens do not matter. */
const TypedCode = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(64))

export const NewCode = Schema.Struct({
  id: PairingCodeId,
  code: Schema.String,
  expiresAt: Timestamp,
  command: Schema.String
}).annotate({ identifier: "NewCode" })

export const OpenCode = Schema.Struct({
  id: PairingCodeId,
  name: Schema.NullOr(Schema.String),
  createdAt: Timestamp,
  expiresAt: Timestamp
}).annotate({ identifier: "OpenCode" })

/** What an edge is given once, and keeps: the token is never shown again. */
export const Credentials = Schema.Struct({
  edgeId: EdgeId,
  token: Schema.String,
  tunnelUrl: Schema.String
}).annotate({ identifier: "Credentials" })

/** RFC 8628 §3.2; `expiresIn` and `interval` in seconds. */
export const NewRequest = Schema.Struct({
  deviceCode: Schema.String,
  userCode: Schema.String,
  verificationUri: Schema.String,
  verificationUriComplete: Schema.String,
  expiresIn: Schema.Int,
  interval: Schema.Int
}).annotate({ identifier: "NewRequest" })

/**
 * What a machine says of itself, save for `address` and `ageSeconds`, which are ours: where it asked from, and how long
 * ago. Whoever approves looks at these two first. `shown` has the names with what cannot be seen, and letters that look
 * like others, named: `edge[U+200B]01`.
 */
export const PairingRequest = Schema.Struct({
  userCode: Schema.String,
  address: Schema.NullOr(Schema.String),
  ageSeconds: Schema.Int,
  hostname: Schema.String,
  name: Schema.NullOr(Schema.String),
  shown: Schema.Struct({ hostname: Schema.String, name: Schema.NullOr(Schema.String) }),
  createdAt: Timestamp,
  expiresAt: Timestamp
}).annotate({ identifier: "PairingRequest" })

/** What an edge calls before it has a token, and to give it up. */
export class EdgePairingApi extends HttpApiGroup.make("edgePairing")
  .add(
    HttpApiEndpoint.post("exchange", "/api/pairing/exchange", {
      payload: Schema.Struct({
        code: TypedCode,
        name: Schema.optionalKey(EdgeName),
        hostname: Schema.optionalKey(Hostname)
      }),
      success: Credentials.pipe(HttpApiSchema.status(201)),
      error: [InvalidCode, TooManyRequests, StorageUnavailable]
    }),
    HttpApiEndpoint.post("beginRequest", "/api/pairing/requests", {
      payload: Schema.Struct({ hostname: Hostname, name: Schema.optionalKey(EdgeName) }),
      success: NewRequest.pipe(HttpApiSchema.status(201)),
      error: [TooManyRequests, StorageUnavailable]
    }),
    HttpApiEndpoint.post("pollRequest", "/api/pairing/requests/poll", {
      payload: Schema.Struct({
        deviceCode: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(128))
      }),
      success: Credentials,
      error: [AuthorizationPending, SlowDown, AccessDenied, ExpiredToken, TooManyRequests, StorageUnavailable]
    }),
    HttpApiEndpoint.post("unpair", "/api/pairing/unpair", {
      payload: Schema.Struct({ token: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(128)) }),
      success: HttpApiSchema.NoContent,
      error: [TooManyRequests, StorageUnavailable]
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Ends a session token and removes its edge",
        description:
          "What a machine says that is to be reached no more. A token that is unknown or has ended already is no error (as in RFC 7009 §2.2)."
      })
    )
  )
  .middleware(BodyRules)
  .middleware(Conventions)
  .annotateMerge(
    OpenApi.annotations({ title: "Edge pairing", description: "How an edge gets its session token." })
  ) {}

/** What a signed-in person does to pair an edge. */
export class PairingApi extends HttpApiGroup.make("pairing")
  .add(
    HttpApiEndpoint.post("createCode", "/api/pairing/codes", {
      payload: Schema.Struct({ name: Schema.optionalKey(EdgeName) }),
      success: NewCode.pipe(HttpApiSchema.status(201)),
      error: [TooManyRequests]
    }).annotate(TokenScope, "pairing"),
    HttpApiEndpoint.get("listCodes", "/api/pairing/codes", {
      query: pageQuery,
      success: Page(OpenCode)
    }).annotate(TokenScope, "pairing"),
    HttpApiEndpoint.delete("cancelCode", "/api/pairing/codes/:id", {
      params: { id: PairingCodeId },
      success: HttpApiSchema.NoContent,
      error: NotFound
    }).annotate(TokenScope, "pairing"),
    HttpApiEndpoint.get("getRequest", "/api/pairing/requests/:userCode", {
      params: { userCode: TypedCode },
      success: PairingRequest,
      error: [NotFound, TooManyRequests]
    }).annotate(TokenScope, "pairing"),
    HttpApiEndpoint.post("approveRequest", "/api/pairing/requests/:userCode/approve", {
      params: { userCode: TypedCode },
      success: HttpApiSchema.NoContent,
      error: [NotFound, TooManyRequests]
    }).annotate(TokenScope, "pairing"),
    HttpApiEndpoint.post("denyRequest", "/api/pairing/requests/:userCode/deny", {
      params: { userCode: TypedCode },
      success: HttpApiSchema.NoContent,
      error: [NotFound, TooManyRequests]
    }).annotate(TokenScope, "pairing")
  )
  .middleware(BodyRules)
  .middleware(ChangeLimit)
  .middleware(Authorization)
  .middleware(Conventions)
  .annotateMerge(
    OpenApi.annotations({ title: "Pairing", description: "Pairing codes, and requests from edges." })
  ) {}
