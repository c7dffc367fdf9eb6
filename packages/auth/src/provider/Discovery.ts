import { Effect, type Scope } from "effect"
import * as client from "openid-client"
import { boundedFetch } from "./internal/boundedFetch.ts"
import { plainTokenAnswers } from "./internal/tokenAnswer.ts"
import { MetadataFault, ProviderUnavailable } from "./OidcError.ts"
import { makeProviderKeys } from "./ProviderKeys.ts"

export interface DiscoveryOptions {
  readonly issuer: URL
  readonly clientId: string
  readonly clientAuthentication: client.ClientAuth
  readonly timeoutSeconds: number
  /** Of the keys' fetches, which outlive a discovery. */
  readonly scope: Scope.Scope
}

/** What the provider says of itself (OpenID Connect Discovery 1.0), checked, and the way to its keys. */
export const makeDiscovery = (options: DiscoveryOptions) => {
  const { issuer, timeoutSeconds } = options
  const insecure = issuer.protocol === "http:"
  const wellKnown = new URL(`${withoutSlash(issuer.href)}/.well-known/openid-configuration`)
  let told: string | undefined

  const discover = Effect.tryPromise({
    try: async () => {
      // With the document's own address the library leaves the issuer's check to us.
      const configuration = await client.discovery(
        wellKnown,
        options.clientId,
        undefined,
        options.clientAuthentication,
        {
          [client.customFetch]: plainTokenAnswers(boundedFetch),
          timeout: timeoutSeconds,
          execute: insecure ? [client.allowInsecureRequests] : []
        }
      )
      const metadata = configuration.serverMetadata()
      const fault = faultOf(issuer, metadata)
      if (fault !== undefined) throw new MetadataFault({ fault })
      return { configuration, metadata }
    },
    catch: (cause) => new ProviderUnavailable({ operation: "discovery", retryAfterSeconds: 1, cause })
  })

  return discover.pipe(
    Effect.tapError(({ fault }) => {
      if (fault === undefined || fault === told) return Effect.void
      told = fault
      return Effect.logError(fault)
    }),
    Effect.map(({ configuration, metadata }) => {
      const url = metadata.jwks_uri ?? ""
      const verify = makeProviderKeys({ url, timeoutSeconds, scope: options.scope })
      return { configuration, metadata, verify }
    })
  )
}

/** What keeps us from working with these metadata; a fault of the configuration, theirs or ours. */
const faultOf = (issuer: URL, metadata: client.ServerMetadata): string | undefined => {
  if (/[{}]/.test(metadata.issuer)) {
    return `OIDC_ISSUER is ${issuer.href}, whose metadata name ${metadata.issuer}, which stands for many issuers: give that of one tenant`
  }
  // A slash at the end is lost and found in many a configuration; the provider's own spelling counts from here on.
  if (withoutSlash(metadata.issuer) !== withoutSlash(issuer.href)) {
    return `OIDC_ISSUER is ${issuer.href}, but the metadata there name the issuer ${metadata.issuer}`
  }
  for (const name of ["authorization_endpoint", "token_endpoint", "jwks_uri"] as const) {
    const endpoint = metadata[name]
    if (typeof endpoint !== "string" || !URL.canParse(endpoint)) {
      return `the metadata of OIDC_ISSUER ${issuer.href} have no ${name}`
    }
    const { protocol } = new URL(endpoint)
    if (protocol !== "https:" && !(protocol === "http:" && issuer.protocol === "http:")) {
      return `the metadata of OIDC_ISSUER ${issuer.href} name the ${name} ${endpoint}, which is not https`
    }
  }
  return undefined
}

const withoutSlash = (href: string): string => href.replace(/\/$/, "")
