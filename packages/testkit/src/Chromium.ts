import { existsSync } from "node:fs"
import { type Browser, chromium } from "playwright-core"

const candidates = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]

/** Where a real browser is; undefined where none is installed. */
export const chromiumPath = candidates.find((path) => existsSync(path))

export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: chromiumPath ?? "",
    args: [
      // Containers and CI run as root, where Chromium's own sandbox refuses to start.
      "--no-sandbox",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run"
    ]
  })
