import { prefix } from "@edge-relay/domain/access-tokens/AccessTokenSecret"

/**
 * The token of ours in an `Authorization` header (RFC 6750 §2.1), whether it is good or not; undefined where the
 * header is about something else, such as an edge's own users.
 */
export const tokenOf = (authorization: string | undefined): string | undefined => {
  const [, token] = /^Bearer +(\S+) *$/i.exec(authorization ?? "") ?? []
  return token?.startsWith(prefix) === true ? token : undefined
}
