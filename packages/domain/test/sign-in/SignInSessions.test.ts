import * as SignInSessionsMemory from "../../src/sign-in/SignInSessionsMemory.ts"
import { suite } from "@edge-relay/testkit/contract/SignInSessionsContract"

suite("memory", SignInSessionsMemory.layer)
