import { ensureBuilt } from "./Build.ts"

/** Before a server runs from the checkout: the console that it serves is the one that is there. */
await ensureBuilt()
