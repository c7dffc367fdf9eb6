import { PublicApi } from "@edge-relay/domain/api/CloudApi"
import * as Routes from "@edge-relay/server-kit/Routes"

/**
 * Every path that the server knows, with its methods: those of the contract, and the few beside it. For `Allow`,
 * and for the test that nothing else is reachable.
 */

/** Beside the contract: documents, the console's pages and files. `*` stands for one segment. */
export const pages = [
  "/",
  "/pair",
  "/terminal",
  "/edges",
  "/edges/*",
  "/audit",
  "/sign-ins",
  "/tokens"
] as const
export const files = ["/favicon.svg", "/assets/*"] as const
export const documents = ["/openapi.json", "/docs", "/install.sh", "/downloads", "/downloads/*"] as const

/** The methods of a path, sorted; none where there is no such path. Where there is GET there is HEAD. */
export const methodsOf = Routes.methodsOf([
  ...Routes.ofApi(PublicApi),
  ...[...pages, ...files, ...documents].map((path) => ({ method: "GET", path }))
])
