import { Role } from "@edge-relay/domain/sign-in/Role"
import { Result, Schema } from "effect"

/** `OIDC_ROLE_MAP`: our role by the provider's word, `*` for who has no other of them. */

export const example = "relay-admins=admin,relay-staff=operator,*=viewer"

const isRole = Schema.is(Role)

export const parse = (value: string): Result.Result<ReadonlyMap<string, Role>, string> => {
  const map = new Map<string, Role>()
  for (const pair of value.split(",")) {
    const at = pair.lastIndexOf("=")
    const [word, role] = [pair.slice(0, Math.max(at, 0)).trim(), pair.slice(at + 1).trim()]
    if (word === "" || !isRole(role)) {
      return Result.fail(
        `must be WORD=ROLE, separated by commas, each ROLE one of ${Role.literals.join(", ")}`
      )
    }
    map.set(word, role)
  }
  return Result.succeed(map)
}
