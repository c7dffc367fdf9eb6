/** Somebody who can sign in at the development provider. */
export interface ProviderUser {
  /** The `sub` claim, and what is typed to sign in. */
  readonly subject: string
  readonly name: string
  readonly email: string
  /** The `tenant` claim. */
  readonly tenant: string
}

/** Two users, each of a tenant of their own, so that a wall between tenants can be seen to hold. */
export const users: ReadonlyArray<ProviderUser> = [
  { subject: "alice", name: "Alice Ackermann", email: "alice@example.com", tenant: "ackermann" },
  { subject: "bob", name: "Bob Baumann", email: "bob@example.com", tenant: "baumann" }
]

export const userOf = (subject: string): ProviderUser | undefined =>
  users.find((user) => user.subject === subject)
