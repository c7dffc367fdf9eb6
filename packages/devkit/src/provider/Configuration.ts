import type { AdapterFactory, ClientMetadata, Configuration } from "oidc-provider"
import type { Keys } from "./Keys.ts"
import { errorPage, headers, signedOutPage, signOutPage } from "./Pages.ts"
import { userOf, users } from "./Users.ts"
import { Scope } from "@edge-relay/domain/access-tokens/Scope"

/** For the confidential client; a secret only by its place in the protocol. */
export const developmentSecret = "development-secret"

/** A program that asks for tokens of its own. */
export const serviceClient = "edge-relay-service"

const makeClient = (id: string, publicUrl: URL, authentication: Partial<ClientMetadata>): ClientMetadata => ({
  ...authentication,
  client_id: id,
  client_name: "Edge Relay",
  redirect_uris: [new URL("/api/auth/callback", publicUrl).href],
  post_logout_redirect_uris: [new URL("/", publicUrl).href],
  backchannel_logout_uri: new URL("/api/auth/backchannel-logout", publicUrl).href,
  backchannel_logout_session_required: true,
  response_types: ["code"],
  grant_types: ["authorization_code", "refresh_token"]
})

/** What `oidc-provider` is told. Every page is our own and every default that it warns of is set. */
export const makeConfiguration = (options: {
  readonly publicUrl: URL
  readonly keys: Keys
  readonly adapter: AdapterFactory
  readonly accessTokenSeconds: number
}): Configuration => {
  const pageHeaders = headers(options.publicUrl)
  return {
    adapter: options.adapter,
    clients: [
      makeClient("edge-relay", options.publicUrl, { token_endpoint_auth_method: "none" }),
      makeClient("edge-relay-confidential", options.publicUrl, {
        token_endpoint_auth_method: "client_secret_post",
        client_secret: developmentSecret
      }),
      {
        client_id: serviceClient,
        client_secret: developmentSecret,
        token_endpoint_auth_method: "client_secret_post",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: []
      }
    ],
    scopes: ["openid", "offline_access", ...Scope.literals],
    // The service belongs to the first user's tenant.
    extraTokenClaims: (_ctx, token) =>
      token.kind === "ClientCredentials" ? { tenant: users[0]?.tenant ?? "" } : undefined,
    jwks: { keys: [options.keys.signing] },
    cookies: { keys: [options.keys.cookie] },
    claims: {
      openid: ["sub"],
      profile: ["name", "preferred_username", "tenant"],
      email: ["email", "email_verified"]
    },
    findAccount: (_ctx, subject) => {
      const user = userOf(subject)
      if (user === undefined) return undefined
      return {
        accountId: subject,
        claims: () => ({
          sub: user.subject,
          name: user.name,
          preferred_username: user.subject,
          email: user.email,
          email_verified: true,
          tenant: user.tenant
        })
      }
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    // Both clients are ours: what they ask for is granted, and nobody is asked to consent.
    loadExistingGrant: async ({ oidc }) => {
      const { client, params, provider, session } = oidc
      if (client === undefined || session?.accountId === undefined) return undefined
      const grantId = session.grantIdFor(client.clientId)
      const known = grantId === undefined ? undefined : await provider.Grant.find(grantId)
      const grant = known ?? new provider.Grant({ accountId: session.accountId, clientId: client.clientId })
      grant.addOIDCScope(String(params?.["scope"] ?? "openid"))
      await grant.save()
      return grant
    },
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed("refresh_token"),
    clientBasedCORS: () => false,
    ttl: {
      AccessToken: options.accessTokenSeconds,
      ClientCredentials: options.accessTokenSeconds,
      AuthorizationCode: 60,
      IdToken: 3600,
      Interaction: 3600,
      RefreshToken: 14 * 86_400,
      Session: 14 * 86_400,
      Grant: 14 * 86_400
    },
    renderError: (ctx, out) => {
      ctx.set(pageHeaders)
      ctx.body = errorPage(out.error, out.error_description)
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      // Access tokens as JWTs (RFC 9068), for whoever asks for this resource.
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => ({
          audience: resource,
          scope: Scope.literals.join(" "),
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "RS256" } }
        }),
        useGrantedResource: () => false
      },
      backchannelLogout: { enabled: true },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId
      },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          ctx.set(pageHeaders)
          ctx.body = signOutPage(form)
        },
        postLogoutSuccessSource: (ctx) => {
          ctx.set(pageHeaders)
          ctx.body = signedOutPage()
        }
      }
    },
    // Its own dispatcher refuses loopback (SSRF), where the back channel of a development server is.
    fetch: (url, init) => fetch(url, { ...init, dispatcher: undefined } as RequestInit)
  }
}
