import { build as buildConsole } from "@edge-relay/console/build/Build"
import { cp } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { build, type InputOptions, type OutputOptions, type Plugin } from "rolldown"

/** Programs as one file of JavaScript each. */

export const root = fileURLToPath(new URL("..", import.meta.url))

const servers = {
  api: "packages/server-api/src/main.ts",
  proxy: "packages/server-proxy/src/main.ts",
  server: "packages/server-all/src/main.ts"
}

/** The servers, each and both in one, and beside them what cannot be in a file: the console, and the native half of WebSockets. */
export const bundleServers = async (folder: string): Promise<ReadonlyArray<string>> => {
  const files: Array<string> = []
  for (const [name, input] of Object.entries(servers)) {
    const file = `${folder}/${name}.mjs`
    files.push(file)
    await bundle(
      // Optional at run time: `ws` does without the one, and `pg` without the other.
      { input, external: ["bufferutil", "utf-8-validate", "pg-native"], plugins: [consoleBesideBundle] },
      { file, format: "esm", sourcemap: true }
    )
  }
  await buildConsole(`${folder}/console`)
  // What the api reads beside itself.
  await cp(`${root}packages/server-api/src/downloads/install.sh`, `${folder}/install.sh`)
  for (const module of ["bufferutil", "node-gyp-build"]) {
    await cp(`${root}node_modules/${module}`, `${folder}/node_modules/${module}`, {
      recursive: true,
      dereference: true
    })
  }
  return files
}

/**
 * The agent, as small as it gets: no native module, no source map, and nothing outside Latin-1, since V8 keeps a
 * source that has it at two bytes a character. A single executable runs CommonJS, `npx` a module.
 */
export const bundleAgent = async (file: string, format: "esm" | "cjs"): Promise<ReadonlyArray<string>> => {
  const { output } = await bundle(
    {
      input: "packages/edge-agent/src/main.ts",
      // `ws` checks text without it, and we have no text.
      external: ["utf-8-validate"],
      resolve: { alias: { bufferutil: `${root}packages/tunnel/src/websocket/PortableMasking.ts` } }
    },
    { file, format, minify: true, charset: "ascii" }
  )
  return [...new Set(output.flatMap((one) => (one.type === "chunk" ? one.moduleIds : [])).flatMap(packageOf))]
}

const bundle = (input: InputOptions, output: OutputOptions) =>
  build({
    cwd: root,
    platform: "node",
    logLevel: "warn",
    ...input,
    output: { codeSplitting: false, ...output }
  })

/** The folder of the npm package that a module is of; none for our own. */
const packageOf = (id: string): ReadonlyArray<string> => {
  const [, folder] = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id) ?? []
  return folder === undefined ? [] : [folder]
}

/** The console is found beside the bundle, not in a package. */
const consoleBesideBundle: Plugin = {
  name: "console-beside-bundle",
  transform: (code, id) =>
    id.endsWith("/server-api/src/http/Console.ts")
      ? {
          code: code.replace(
            'import.meta.resolve("@edge-relay/console/dist/index.html")',
            'new URL("./console/index.html", import.meta.url).href'
          ),
          // One expression within one line: what the map says of the others holds.
          map: null
        }
      : undefined
}
