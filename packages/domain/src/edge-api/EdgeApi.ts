/**
 * The edge API: what a local server on an edge answers. Declared once and mounted twice: as it is by the edge,
 * and by the cloud under `/api/edges/:edgeId`, which forwards the bytes and decodes none.
 *
 * Bodies are strict: a field that the contract does not know is refused, so that a misspelt option is an error and
 * not a silent default. Query and headers are not, since browsers and gateways add their own.
 */
import { HttpApi, OpenApi } from "effect/http-api"
import { CamerasApi } from "./Cameras.ts"
import { ClustersApi } from "./Clusters.ts"
import { DevicesApi } from "./Devices.ts"
import { RequestValidation } from "./EdgeProblem.ts"
import { FirmwareApi } from "./Firmware.ts"
import { InferenceApi } from "./Inference.ts"
import { MediaApi } from "./Media.ts"
import { ModelsApi } from "./Models.ts"
import { SystemApi } from "./System.ts"

/** Largest JSON body, in bytes: 1 MiB. */
export const maxJsonBytes = 1024 * 1024

export const EdgeApi = HttpApi.make("edge")
  .add(SystemApi)
  .add(DevicesApi)
  .add(FirmwareApi)
  .add(InferenceApi)
  .add(CamerasApi)
  .add(MediaApi)
  .add(ModelsApi)
  .add(ClustersApi)
  .middleware(RequestValidation)
  .annotate(HttpApi.PayloadParseOptions, { onExcessProperty: "error", errors: "all" })
  .annotateMerge(
    OpenApi.annotations({
      title: "Edge Relay edge API",
      version: "1.0.0",
      description:
        "What the local server of an edge answers. Errors are application/problem+json; times are ISO 8601 in UTC with milliseconds."
    })
  )
