import { fileURLToPath } from "node:url"
import { build } from "vite"

/**
 * `node Vite.ts FOLDER`: what Vite makes of the application, into an empty folder. A process of its own: Vite goes by
 * `NODE_ENV`, sets it, and brings more than a server that only checks whether the console is fresh should load.
 */
await build({
  configFile: false,
  root: fileURLToPath(new URL("../..", import.meta.url)),
  mode: "production",
  logLevel: "warn",
  build: {
    outDir: process.argv[2] ?? "dist",
    emptyOutDir: true,
    target: "es2024",
    // A policy without `data:` for scripts and styles; and one kind of file less.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      // What the first page needs is one file, which compresses better than four.
      output: {
        codeSplitting: {
          groups: [
            {
              name: "first",
              test: /node_modules\/(?!uqr)|src\/app\/(api|live|session|edges\/(Edge|Figures|Open)|text\/(en|Text)|ui\/(No|Page))/
            }
          ]
        }
      },
      onLog: (level, log, handle) => {
        // Libraries mark what a framework's server must not run: there is none here.
        if (log.code !== "MODULE_LEVEL_DIRECTIVE") handle(level, log)
      }
    }
  }
})
