import { ensureBuilt } from "@edge-relay/console/build/Build"

/** Before any test: servers that tests start find the console that is in the checkout. */
export const setup = ensureBuilt
