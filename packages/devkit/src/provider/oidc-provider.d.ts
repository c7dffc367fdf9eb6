/**
 * The package's entry point prints "Unsupported runtime" on every Node that is not an LTS release yet, and does
 * nothing else but export these; so they are imported from where they are.
 */
declare module "oidc-provider/lib/provider.js" {
  export { Provider } from "oidc-provider"
}

declare module "oidc-provider/lib/helpers/errors.js" {
  import { errors } from "oidc-provider"
  export const SessionNotFound: typeof errors.SessionNotFound
}
