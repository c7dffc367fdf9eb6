import { cp, mkdir, rm } from "node:fs/promises"
import { build, type Plugin } from "rolldown"

/**
 * `npm run build`: each program as one file in `dist/` (or the folder that is named), which Node 26 runs as it is. Beside them lie what cannot be
 * in a file: the console's pages, and the native module that masks WebSocket frames.
 */

const programs = {
  api: "packages/server-api/src/main.ts",
  proxy: "packages/server-proxy/src/main.ts",
  "edge-relay": "packages/edge-agent/src/main.ts"
}

/** The console is found beside the bundle, not in a package. */
const consoleBesideBundle: Plugin = {
  name: "console-beside-bundle",
  transform: (code, id) =>
    id.endsWith("/server-api/src/http/Console.ts")
      ? {
          code: code.replace(
            "import.meta.resolve(`@edge-relay/console/public${path}`)",
            "new URL(`./console${path}`, import.meta.url).href"
          ),
          // One expression within one line: what the map says of the others holds.
          map: null
        }
      : undefined
}

const folder = process.argv[2] ?? "dist"
await rm(folder, { recursive: true, force: true })
await mkdir(folder, { recursive: true })
for (const [name, input] of Object.entries(programs)) {
  await build({
    input,
    platform: "node",
    // Optional at run time: `ws` does without the one, and `pg` without the other.
    external: ["bufferutil", "utf-8-validate", "pg-native"],
    plugins: [consoleBesideBundle],
    output: { file: `${folder}/${name}.mjs`, format: "esm", codeSplitting: false, sourcemap: true },
    logLevel: "warn"
  })
}
await cp("packages/console/public", `${folder}/console`, { recursive: true })
for (const module of ["bufferutil", "node-gyp-build"]) {
  await cp(`node_modules/${module}`, `${folder}/node_modules/${module}`, {
    recursive: true,
    dereference: true
  })
}
console.log(
  `built ${Object.keys(programs)
    .map((name) => `${folder}/${name}.mjs`)
    .join(", ")}`
)
