import { Schema } from "effect"

/** What is written down: `subject.verb_in_the_past`, in snake case. A released name is never changed. */
export const AuditAction = Schema.Literals([
  "sign_in.begun",
  "sign_in.done",
  "sign_in.failed",
  "sign_in.refreshed",
  "sign_in.ended",
  "sign_in.backchannel_logout",
  "terminal.approved",
  "terminal.denied",
  "terminal.signed_in",
  "terminal.ended",
  "terminal.refresh_reused",
  "pairing.code_created",
  "pairing.code_cancelled",
  "pairing.exchanged",
  "pairing.approved",
  "pairing.denied",
  "access_token.created",
  "access_token.revoked",
  "edge.updated",
  "edge.removed",
  "edge.disconnected",
  "edge.token_rotated",
  "edge.token_contended",
  "gateway.denied"
]).annotate({ identifier: "AuditAction" })
export type AuditAction = typeof AuditAction.Type

/** `unknown`: written by a newer server, which knows more actions. */
export const StoredAuditAction = Schema.Union([AuditAction, Schema.Literal("unknown")])
export type StoredAuditAction = typeof StoredAuditAction.Type
