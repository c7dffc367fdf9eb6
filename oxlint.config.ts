import { defineConfig } from "oxlint"
import type { OxlintOverride } from "oxlint"

/**
 * Which packages the `src` of a package may import: the arrows of `docs/architecture.md`, whose test reads this table.
 * A package that is named in nobody's list is a program. Tests may import any package.
 */
export const arrows: Readonly<Record<string, ReadonlyArray<string>>> = {
  yamux: [],
  domain: [],
  "server-kit": [],
  protocol: ["domain", "yamux"],
  storage: ["domain"],
  auth: ["domain"],
  tunnel: ["domain", "protocol", "server-kit", "yamux"],
  gateway: ["auth", "domain", "protocol", "server-kit", "tunnel"],
  console: ["domain"],
  "server-api": [
    "auth",
    "console",
    "domain",
    "gateway",
    "protocol",
    "server-kit",
    "storage",
    "tunnel",
    "yamux"
  ],
  "server-proxy": ["domain", "protocol", "server-kit", "storage", "tunnel", "yamux"],
  "server-all": ["server-api", "server-kit", "server-proxy", "tunnel"],
  "edge-agent": ["domain", "protocol", "server-kit", "tunnel", "yamux"],
  conformance: ["domain"],
  devkit: [
    "auth",
    "conformance",
    "console",
    "domain",
    "edge-agent",
    "server-all",
    "server-api",
    "server-kit",
    "storage",
    "tunnel"
  ],
  testkit: [
    "auth",
    "console",
    "domain",
    "gateway",
    "protocol",
    "server-api",
    "server-kit",
    "server-proxy",
    "storage",
    "tunnel",
    "yamux"
  ]
}

/** A file of another package by a relative path: `../../tunnel/src/Splice.ts`. */
const pathIntoPackage = {
  regex: String.raw`^(\.\./)+[a-z-]+/(src|test)/`,
  message: "import another package by its name: @edge-relay/…"
}

const arrowsOf = ([name, allowed]: readonly [string, ReadonlyArray<string>]): OxlintOverride => ({
  files: [`packages/${name}/src/**`],
  rules: {
    "no-restricted-imports": [
      "error",
      {
        patterns: [
          pathIntoPackage,
          {
            group: ["@edge-relay/**", ...[...allowed, name].map((other) => `!@edge-relay/${other}/**`)],
            message: `no arrow from ${name} to that package: see docs/architecture.md`
          },
          // The engine is published alone: Node is all that it needs.
          ...(name === "yamux"
            ? [{ regex: "^(@|[a-mo-z]|n[^o]|node[^:])", message: "yamux needs Node alone" }]
            : [])
        ]
      }
    ]
  }
})

const stillLonger = [
  "packages/gateway/src/exchange/Exchange.ts",
  "packages/testkit/src/api/TestApi.ts",
  "packages/testkit/src/contract/SignInSessionsContract.ts",
  "packages/testkit/src/gateway/TestGateway.ts"
]

export default defineConfig({
  plugins: ["typescript", "unicorn", "oxc", "import"],
  categories: { correctness: "error", suspicious: "error" },
  rules: {
    "import/no-cycle": ["error", { ignoreTypes: false }],
    "no-restricted-imports": ["error", { patterns: [pathIntoPackage] }],
    "typescript/no-explicit-any": "error",
    "typescript/no-non-null-assertion": "error",
    "typescript/no-unsafe-declaration-merging": "off",
    "no-shadow": "off",
    "require-yield": "off",
    "no-underscore-dangle": "off",
    "unicorn/require-post-message-target-origin": "off",
    "unicorn/no-array-sort": "off",
    "unicorn/prefer-add-event-listener": "off",
    "unicorn/consistent-function-scoping": "off",
    "unicorn/no-array-reverse": "off",
    "import/no-unassigned-import": "off",
    "typescript/no-this-alias": "off"
  },
  overrides: [
    { files: ["**/src/**"], rules: { "max-lines": ["error", { max: 300 }] } },
    // Longer still, and to be cut.
    { files: stillLonger, rules: { "max-lines": "off" } },
    ...Object.entries(arrows).map(arrowsOf)
  ],
  ignorePatterns: ["**/dist", "**/node_modules"]
})
