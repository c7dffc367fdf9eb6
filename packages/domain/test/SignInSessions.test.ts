import { SignInSessions } from "../src/SignInSessions.ts"
import { suite } from "./contract/SignInSessionsContract.ts"

suite("memory", SignInSessions.layerMemory)
