import { Layer, type Redacted } from "effect"
import * as AuthHttp from "./AuthHttp.ts"
import * as AuthorizationLayer from "./AuthorizationLayer.ts"
import { Oidc, type OidcOptions } from "./Oidc.ts"
import { SessionCheck } from "./SessionCheck.ts"
import { SessionCookie } from "./SessionCookie.ts"
import { SignIn, type SignInOptions } from "./SignIn.ts"

export interface AuthOptions extends OidcOptions, SignInOptions {
  readonly publicUrl: URL
  /** Cookie keys of 32 bytes at least: the first signs, all verify. */
  readonly sessionKeys: ReadonlyArray<Redacted.Redacted<Uint8Array>>
}

/**
 * All of sign-in, for a server to mount: the handlers of the groups `signIn` and `auth`, the `Authorization`
 * middleware, `SessionCheck` for the gateway, and `Oidc` for readiness. Stores, limits, the audit log and the
 * server's own middleware are left open.
 */
export const layer = (options: AuthOptions) =>
  AuthHttp.layer.pipe(
    Layer.provideMerge(AuthorizationLayer.layer(options)),
    Layer.provideMerge(Layer.mergeAll(SignIn.layer(options), SessionCheck.layer)),
    Layer.provideMerge(
      Layer.mergeAll(
        Oidc.layer(options),
        SessionCookie.layer({
          keys: options.sessionKeys,
          secure: options.publicUrl.protocol === "https:"
        })
      )
    )
  )
