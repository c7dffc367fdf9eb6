import { SignInSessionId } from "@edge-relay/domain/ids/SignInSessionId"
import { type CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import {
  SignedOutMeanwhile,
  type SignInSession,
  type TakenSignIn
} from "@edge-relay/domain/sign-in/SignInSession"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { Clock, Context, Duration, Effect, Layer, Option, Schedule } from "effect"
import { SecureRandom } from "effect/crypto"
import { tenantId, userId } from "./Identity.ts"
import { Oidc } from "../provider/Oidc.ts"
import type { ProviderRefused, ProviderUnavailable } from "../provider/OidcError.ts"
import { seal, unseal } from "../provider/ProviderTokens.ts"
import { loginPath, safeReturnTo } from "./ReturnTo.ts"
import { SessionCookie, type VerifiedCookie } from "../session/SessionCookie.ts"
import { LogoutRefused, type SignInFailed, type TooManySignIns } from "./SignInError.ts"
import * as Metrics from "./SignInMetrics.ts"
import { makeRecords, type Origin, type PerMinute } from "./SignInRecords.ts"
import { makeTokenRefresh } from "../session/TokenRefresh.ts"

export interface SignInOptions {
  readonly publicUrl: URL
  /** How long a session lives without being used; 8 hours by default. */
  readonly idle?: Duration.Duration | undefined
  /** How long it lives at most; 7 days by default. */
  readonly absolute?: Duration.Duration | undefined
  /** How many of each an address may have in a minute. */
  readonly perMinute?: PerMinute | undefined
}

/** Where to send a browser, and the cookie that it gets on the way. */
export interface Redirect {
  readonly location: string
  readonly cookie: VerifiedCookie | undefined
}

type Me = CurrentUser["Service"]

/** The sign-in flow: OIDC on one side, our sessions on the other. */
export class SignIn extends Context.Service<
  SignIn,
  {
    readonly begin: (
      cookie: VerifiedCookie | undefined,
      returnTo: string | undefined,
      origin: Origin
    ) => Effect.Effect<Redirect, ProviderUnavailable | TooManySignIns | StorageUnavailable>
    readonly callback: (
      cookie: VerifiedCookie | undefined,
      parameters: URLSearchParams,
      origin: Origin
    ) => Effect.Effect<Redirect, SignInFailed | ProviderUnavailable | TooManySignIns | StorageUnavailable>
    /** Where the sign-in of these parameters' state was to lead; "/" where that is not known. */
    readonly returnTo: (parameters: URLSearchParams) => Effect.Effect<string>
    /** Ends this session; answers where to sign out of the provider, where that can be known. */
    readonly end: (cookie: VerifiedCookie, origin: Origin) => Effect.Effect<string | null, StorageUnavailable>
    readonly backchannel: (
      logoutToken: string,
      origin: Origin
    ) => Effect.Effect<void, LogoutRefused | ProviderUnavailable | TooManySignIns | StorageUnavailable>
    readonly list: (user: Me) => Effect.Effect<ReadonlyArray<SignInSession>, StorageUnavailable>
    /** False where this user has no session of that id. */
    readonly endOne: (
      user: Me,
      id: SignInSessionId,
      origin: Origin
    ) => Effect.Effect<boolean, StorageUnavailable>
    /** Ends all but one. */
    readonly endOthers: (
      user: Me,
      except: SignInSessionId,
      origin: Origin
    ) => Effect.Effect<void, StorageUnavailable>
    /** Refreshes the provider's tokens where that is due; none where the provider says that it is over. */
    readonly refresh: (
      cookie: VerifiedCookie,
      session: SignInSession
    ) => Effect.Effect<Option.Option<SignInSession>>
  }
>()("@edge-relay/auth/sign-in/SignIn") {
  static readonly layer = (options: SignInOptions) =>
    Layer.effect(
      SignIn,
      Effect.suspend(() => make(options))
    )
}

const make = Effect.fnUntraced(function* (options: SignInOptions) {
  const oidc = yield* Oidc
  const cookies = yield* SessionCookie
  const sessions = yield* SignInSessions
  const random = yield* SecureRandom.SecureRandom
  const { refresh, revokeQuietly } = yield* makeTokenRefresh
  const idleMillis = Duration.toMillis(options.idle ?? Duration.hours(8))
  const absoluteMillis = Duration.toMillis(options.absolute ?? Duration.days(7))

  yield* sessions.count.pipe(
    Effect.flatMap(Metrics.sessionsLive),
    Effect.ignore,
    Effect.repeat(Schedule.spaced(Duration.seconds(15))),
    Effect.forkScoped
  )

  const { fail, limit, owner, record, recordEnded, unavailable } = yield* makeRecords(options.perMinute)

  /** A browser that is somebody's already, and a callback that is nobody's: a stale tab. */
  const isSignedIn = (cookie: VerifiedCookie | undefined) =>
    cookie === undefined ? Effect.succeed(false) : Effect.map(sessions.find(cookie.idHash), Option.isSome)

  const complete = Effect.fnUntraced(function* (
    taken: TakenSignIn,
    parameters: URLSearchParams,
    origin: Origin
  ) {
    const { identity, issuedAt, refreshAt, tokens } = yield* oidc.callback(parameters, taken)
    const { issuer, subject } = identity
    const cookie = cookies.issue()
    const createdAt = yield* Clock.currentTimeMillis
    const session = yield* sessions.signIn(taken, {
      id: SignInSessionId.make(
        yield* Effect.provideService(TypeId.make("sess"), SecureRandom.SecureRandom, random)
      ),
      idHash: cookie.idHash,
      userId: userId(issuer, subject),
      tenantId: tenantId(issuer, subject, identity.tenant),
      issuer,
      subject,
      sid: identity.sid,
      name: identity.name,
      email: identity.email,
      picture: identity.picture,
      role: identity.role,
      address: origin.address,
      userAgent: printable(origin.userAgent),
      createdAt,
      idleMillis,
      expiresAt: createdAt + absoluteMillis,
      sealed: seal(cookie.id, tokens),
      refreshAt
    })
    const { startedAt } = taken
    if (yield* sessions.isLoggedOut(session, { issuedAt, startedAt })) {
      yield* sessions.end(session.idHash, "provider")
      yield* revokeQuietly(tokens.refreshToken)
      return yield* new SignedOutMeanwhile()
    }
    yield* Metrics.signInDone
    yield* record(
      { action: "sign_in.done", outcome: "success", detail: session.id, ...owner(session) },
      origin
    )
    return { location: taken.returnTo, cookie }
  })

  return SignIn.of({
    begin: Effect.fn("SignIn.begin")(function* (cookie, returnTo, origin) {
      yield* limit("begin", origin)
      const attempt = yield* oidc.newAttempt
      const url = yield* Effect.catch(oidc.authorizationUrl(attempt), (error) => unavailable(error, origin))
      const startedAt = yield* Clock.currentTimeMillis
      const pending = { ...attempt, returnTo: safeReturnTo(returnTo, options.publicUrl), startedAt }
      yield* Metrics.signInBegun
      yield* record({ action: "sign_in.begun", outcome: "success" }, origin)
      if (cookie !== undefined && (yield* sessions.addPending(cookie.idHash, pending, { fresh: false }))) {
        return { location: url.href, cookie: cookie.outdated ? cookie : undefined }
      }
      const issued = cookies.issue()
      yield* sessions.addPending(issued.idHash, pending, { fresh: true })
      return { location: url.href, cookie: issued }
    }),

    callback: Effect.fn("SignIn.callback")(function* (cookie, parameters, origin) {
      yield* limit("callback", origin)
      const state = stateOf(parameters)
      const taken =
        cookie === undefined || state === undefined
          ? Option.none<TakenSignIn>()
          : yield* sessions.takePending(cookie.idHash, state)
      if (Option.isNone(taken)) {
        const found = state === undefined ? Option.none() : yield* sessions.remembered(state)
        const { isOpen, returnTo } = Option.getOrElse(found, () => ({ returnTo: "/", isOpen: false }))
        if (yield* isSignedIn(cookie)) return { location: returnTo, cookie: undefined }
        // Tabs that are restored at once are given a cookie each, of which the browser keeps one. The sign-in of
        // another cookie is not finished here, since anybody could have begun it: this browser begins its own.
        if (cookie !== undefined && isOpen) return { location: loginPath(returnTo), cookie: undefined }
        const doubled = parameters.getAll("state").length > 1
        const reason = cookie === undefined ? "no_cookie" : "unknown"
        return yield* fail(reason, doubled ? "state_doubled" : "state", returnTo, origin)
      }
      const { returnTo } = taken.value
      const refused = ({ code, reason }: ProviderRefused) => fail(reason, code, returnTo, origin)
      return yield* complete(taken.value, parameters, origin).pipe(
        Effect.catchTags({
          ProviderRefused: refused,
          ProviderUnavailable: (error) => unavailable(error, origin),
          SignedOutMeanwhile: () => fail("signed_out", "signed_out", returnTo, origin)
        })
      )
    }),

    returnTo: (parameters) => {
      const state = stateOf(parameters)
      if (state === undefined) return Effect.succeed("/")
      return sessions.remembered(state).pipe(
        Effect.map((found) => (Option.isSome(found) ? found.value.returnTo : "/")),
        // The page that it is for tells of something worse.
        Effect.orElseSucceed(() => "/")
      )
    },

    end: Effect.fn("SignIn.end")(function* (cookie, origin) {
      const ended = yield* sessions.end(cookie.idHash, "signed_out")
      if (Option.isNone(ended)) return null
      yield* recordEnded([ended.value], "signed_out", origin)
      const tokens = unseal(cookie.id, ended.value.sealed)
      if (Option.isNone(tokens)) return null
      yield* revokeQuietly(tokens.value.refreshToken)
      // Signed out here is signed out; the provider's page is what can be missed.
      return yield* Effect.orElseSucceed(oidc.endSessionUrl(tokens.value.idToken), () => null)
    }),

    backchannel: Effect.fn("SignIn.backchannel")(function* (logoutToken, origin) {
      yield* limit("backchannel", origin)
      const refuse = (code: string) =>
        Metrics.backchannelCalled("refused").pipe(
          Effect.andThen(
            record({ action: "sign_in.backchannel_logout", outcome: "failure", detail: code }, origin)
          ),
          Effect.andThen(Effect.fail(new LogoutRefused({ code })))
        )
      const notice = yield* Effect.catchTag(
        oidc.readLogoutToken(logoutToken),
        "ProviderRefused",
        ({ code }) => refuse(code)
      )
      const found = yield* sessions.endByProvider(notice)
      if (Option.isNone(found)) return yield* refuse("jti")
      const ended = found.value
      yield* Metrics.backchannelCalled("done")
      yield* record(
        { action: "sign_in.backchannel_logout", outcome: "success", detail: `${ended.length} ended` },
        origin
      )
      yield* recordEnded(ended, "provider", origin)
    }),

    list: ({ tenantId, userId }) => sessions.list(tenantId, userId),

    endOne: Effect.fn("SignIn.endOne")(function* ({ tenantId, userId }, id, origin) {
      const ended = Option.toArray(yield* sessions.endOne(tenantId, userId, id))
      yield* recordEnded(ended, "revoked", origin)
      return ended.length > 0
    }),

    endOthers: Effect.fn("SignIn.endOthers")(function* ({ tenantId, userId }, except, origin) {
      yield* recordEnded(yield* sessions.endOthers(tenantId, userId, except), "revoked", origin)
    }),

    refresh
  })
})

/** RFC 6749 §3.1: a parameter is sent once. */
const stateOf = (parameters: URLSearchParams): string | undefined => {
  const [state, ...more] = parameters.getAll("state")
  return more.length > 0 ? undefined : state
}

/** A browser names itself in what could be anything. */
const printable = (userAgent: string) => userAgent.replace(/[^\x20-\x7e]/g, "").slice(0, 256)
