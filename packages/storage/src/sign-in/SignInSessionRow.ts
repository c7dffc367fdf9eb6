import type { SignInSessionId } from "@edge-relay/domain/ids/SignInSessionId"
import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import type { Role } from "@edge-relay/domain/sign-in/Role"
import type { UserId } from "@edge-relay/domain/ids/UserId"
import type { PendingSignIn, SessionIdHash, SignInSession } from "@edge-relay/domain/sign-in/SignInSession"

/** Sign-in sessions and pending sign-ins as their tables have them. */

export interface SessionRow {
  readonly id_hash: SessionIdHash
  readonly id: SignInSessionId
  readonly browser: SessionIdHash
  readonly tenant_id: TenantId
  readonly user_id: UserId
  readonly issuer: string
  readonly subject: string
  readonly sid: string | null
  readonly name: string | null
  readonly email: string | null
  readonly picture: string | null
  readonly role: Role
  readonly address: string
  readonly user_agent: string
  readonly created_at: number | bigint
  readonly last_seen_at: number | bigint
  readonly idle_millis: number | bigint
  readonly expires_at: number | bigint
  readonly sealed: string
  readonly refresh_at: number | bigint | null
}

export interface PendingRow {
  readonly state: string
  readonly nonce: string
  readonly code_verifier: string
  readonly return_to: string
  readonly started_at: number | bigint
}

export const toSession = (row: SessionRow): SignInSession => ({
  id: row.id,
  idHash: row.id_hash,
  browser: row.browser,
  tenantId: row.tenant_id,
  userId: row.user_id,
  issuer: row.issuer,
  subject: row.subject,
  sid: row.sid,
  name: row.name,
  email: row.email,
  picture: row.picture,
  role: row.role,
  address: row.address,
  userAgent: row.user_agent,
  createdAt: Number(row.created_at),
  lastSeenAt: Number(row.last_seen_at),
  idleMillis: Number(row.idle_millis),
  expiresAt: Number(row.expires_at),
  sealed: row.sealed,
  refreshAt: row.refresh_at === null ? null : Number(row.refresh_at)
})

export const toRow = (session: SignInSession) => ({
  id_hash: session.idHash,
  id: session.id,
  browser: session.browser,
  tenant_id: session.tenantId,
  user_id: session.userId,
  issuer: session.issuer,
  subject: session.subject,
  sid: session.sid,
  name: session.name,
  email: session.email,
  picture: session.picture,
  role: session.role,
  address: session.address,
  user_agent: session.userAgent,
  created_at: session.createdAt,
  last_seen_at: session.lastSeenAt,
  idle_millis: session.idleMillis,
  expires_at: session.expiresAt,
  sealed: session.sealed,
  refresh_at: session.refreshAt
})

export const toPending = (row: PendingRow): PendingSignIn => ({
  state: row.state,
  nonce: row.nonce,
  codeVerifier: row.code_verifier,
  returnTo: row.return_to,
  startedAt: Number(row.started_at)
})
