import { layer } from "@effect/vitest"
import { Layer } from "effect"
import * as MemoryStorage from "../src/MemoryStorage.ts"
import { crypto } from "./contract/Fixtures.ts"
import * as StorageContract from "./contract/StorageContract.ts"

layer(MemoryStorage.layer.pipe(Layer.provideMerge(crypto)))((it) => StorageContract.suite("memory", it))
