import { Effect, Layer } from "effect"
import { Transaction } from "@edge-relay/domain/Transaction"
import { Database } from "./Database.ts"

/** Transactions of the database. What runs inside finds the transaction's connection in its fiber's context. */
export const layer = Layer.effect(
  Transaction,
  Effect.map(Database, ({ transaction }) =>
    Transaction.of({ run: (effect) => transaction("Transaction.run", effect) })
  )
)
