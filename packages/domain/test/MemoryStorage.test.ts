import { layer } from "@effect/vitest"
import { Layer } from "effect"
import * as MemoryStorage from "../src/MemoryStorage.ts"
import { crypto } from "@edge-relay/testkit/contract/Fixtures"
import * as StorageContract from "@edge-relay/testkit/contract/StorageContract"

layer(MemoryStorage.layer.pipe(Layer.provideMerge(crypto)))((it) => StorageContract.suite("memory", it))
