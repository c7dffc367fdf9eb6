import { EdgeView } from "@edge-relay/domain/api/Edges"
import { Page } from "@edge-relay/domain/api/Page"
import { NewCode } from "@edge-relay/domain/api/Pairing"
import { Schema } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Browser } from "./SignedInBrowser.ts"
import { freePorts, Program } from "./Program.ts"

/** The ports of a whole system, and the addresses made of them. */
export interface Addresses {
  readonly api: string
  readonly provider: string
  readonly tunnel: string
  readonly internal: string
  readonly env: Record<string, string>
}

export const addresses = async (): Promise<Addresses> => {
  const [api = 0, provider = 0, tunnel = 0, internal = 0, apiInternal = 0, edge = 0] = await freePorts(6)
  return {
    api: `http://localhost:${api}`,
    provider: `http://localhost:${provider}`,
    tunnel: `ws://localhost:${tunnel}`,
    internal: `http://127.0.0.1:${internal}`,
    env: {
      API_PORT: String(api),
      PROVIDER_PORT: String(provider),
      TUNNEL_PORT: String(tunnel),
      INTERNAL_PORT: String(internal),
      API_INTERNAL_PORT: String(apiInternal),
      EDGE_PORT: String(edge)
    }
  }
}

/** A folder of its own for what a test's processes write; gone with the test. */
export const folder = async (): Promise<{ readonly path: string } & AsyncDisposable> => {
  const path = await mkdtemp(join(tmpdir(), "edge-relay-e2e-"))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) }
}

/** Signs in through the provider's page, as a person does, and is back on the console. */
export const signIn = async (api: string, user: "alice" | "bob"): Promise<Browser> => {
  const browser = new Browser()
  const page = await browser.visit(`${api}/api/auth/login?returnTo=/`)
  if (!page.text.includes("<form"))
    throw new Error(`no sign-in page: ${page.status} ${page.url} ${page.text.slice(0, 400)}`)
  const landed = await browser.submit(page, { login: user, password: "anything" })
  if (landed.url.origin !== api)
    throw new Error(`not back: ${landed.status} ${landed.url} ${landed.text.slice(0, 400)}`)
  return browser
}

const decodeEdges = Schema.decodeUnknownSync(Schema.toCodecJson(Page(EdgeView)))
const decodeCode = Schema.decodeUnknownSync(Schema.toCodecJson(NewCode))

/** The edges that this person sees. */
export const edgesOf = async (browser: Browser, api: string) =>
  decodeEdges((await browser.json("GET", `${api}/api/edges`)).json).items

/** A new pairing code, with the command that the console shows for it. */
export const newCode = async (browser: Browser, api: string, name: string) =>
  decodeCode((await browser.json("POST", `${api}/api/pairing/codes`, { name })).json)

export const pairingCode = async (browser: Browser, api: string, name: string): Promise<string> =>
  (await newCode(browser, api, name)).code

/** The agent's command, with a state folder of its own. */
export const agent = (args: ReadonlyArray<string>, state: string): Program =>
  new Program("packages/edge-agent/src/main.ts", [...args, "--state", state], {}, state)
