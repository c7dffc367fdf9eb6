import { prefix } from "@edge-relay/domain/access-tokens/AccessTokenSecret"

/**
 * The token of ours in an `Authorization` header (RFC 6750 §2.1), whether it is good or not; undefined where the
 * header is about something else, such as an edge's own users. `isService`: whether it is one of the provider's for us.
 */
export const tokenOf = (
  authorization: string | undefined,
  isService: (text: string) => boolean = () => false
): string | undefined => {
  const [, token] = /^Bearer +(\S+) *$/i.exec(authorization ?? "") ?? []
  return token !== undefined && (token.startsWith(prefix) || isService(token)) ? token : undefined
}
