import { SignInSessions } from "../../src/sign-in/SignInSessions.ts"
import { suite } from "@edge-relay/testkit/contract/SignInSessionsContract"

suite("memory", SignInSessions.layerMemory)
