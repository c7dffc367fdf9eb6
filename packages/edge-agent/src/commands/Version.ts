import { Command } from "effect/cli"
import type { Surroundings } from "../Surroundings.ts"
import * as Facts from "./Facts.ts"

/** `edge-relay version` */
export const make = ({ version }: Surroundings) =>
  Command.make("version", { json: Facts.flag }, ({ json }) => {
    const facts = { version, node: process.versions.node, os: process.platform, arch: process.arch }
    return Facts.print(json, facts, [`edge-relay ${version} (Node ${facts.node}, ${facts.os} ${facts.arch})`])
  }).pipe(
    Command.withDescription("Say which version this is"),
    Command.withExamples([{ command: "edge-relay version --json", description: "For a script" }])
  )
