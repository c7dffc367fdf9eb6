import { assert, layer } from "@effect/vitest"
import { CloudApi, PublicApi } from "@edge-relay/domain/api/CloudApi"
import { Context, Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import * as GatewayRoute from "@edge-relay/gateway/access/GatewayRoute"
import * as Routes from "../../src/http/Routes.ts"
import * as Server from "../../src/Server.ts"
import { ask, layerOpen, TestApi } from "@edge-relay/testkit/api/TestApi"

/** Every route that the server puts on its router, as it does so. */
class Registered extends Context.Service<Registered, Set<string>>()("test/Registered") {}

const layerRecorder = Layer.effectContext(
  Effect.gen(function* () {
    const router = yield* HttpRouter.make
    const registered = new Set<string>()
    const recorder: HttpRouter.HttpRouter = {
      ...router,
      add: (method, path, handler, options) => {
        registered.add(`${method} ${path}`)
        return router.add(method, path, handler, options)
      },
      addAll: (routes) => {
        for (const { method, path } of routes) registered.add(`${method} ${path}`)
        return router.addAll(routes)
      },
      prefixed: () => assert.fail("routes under a prefix would not be seen")
    }
    return Context.make(HttpRouter.HttpRouter, recorder).pipe(Context.add(Registered, registered))
  })
)

const routesOf = (api: { readonly groups: typeof PublicApi.groups }) =>
  Object.values(api.groups).flatMap((group) =>
    Object.values(group.endpoints).map(({ method, path }) => ({ method: String(method), path: String(path) }))
  )

layer(
  Server.layerRoutes.pipe(
    Layer.provideMerge(layerRecorder),
    Layer.provide(Server.layerServices),
    Layer.provide(layerOpen())
  ),
  { excludeTestServices: true }
)("What the server registers", (it) => {
  it.effect("is the contract's endpoints, the console's pages and files, documents, and downloads", () =>
    Effect.gen(function* () {
      const registered = yield* Registered
      const known = [
        ...Object.values(CloudApi.groups).flatMap((group) =>
          Object.values(group.endpoints).map(({ method, path }) => `${method} ${path}`)
        ),
        ...[...Routes.pages, ...Routes.files, ...Routes.documents].map(
          (path) => `GET ${path.replace("/downloads/*", "/downloads/:name").replaceAll("*", ":segment")}`
        )
      ]
      assert.deepStrictEqual(Array.from(registered).sort(), known.sort())
    })
  )
})

layer(TestApi.layer(), { excludeTestServices: true })("What the server answers", (it) => {
  it.effect("is nothing for a method that its contract does not have", () =>
    Effect.gen(function* () {
      const { signIn, url } = yield* TestApi
      const { cookie } = yield* signIn("alice")
      const paths = new Set(
        [
          ...routesOf(PublicApi).map(({ path }) => path),
          ...Routes.pages,
          ...Routes.files,
          ...Routes.documents
        ].map((path) => path.replaceAll(/:[A-Za-z]+|\*/g, "some-id"))
      )
      assert.isAbove(paths.size, 50)
      for (const path of paths) {
        const allowed = Routes.methodsOf(path)
        assert.isNotEmpty(allowed, path)
        for (const method of [
          "GET",
          "POST",
          "PUT",
          "PATCH",
          "DELETE",
          "OPTIONS",
          "TRACE",
          "QUERY",
          "PROPFIND"
        ]) {
          if (allowed.includes(method)) continue
          const answer = yield* ask(url + path, { method, cookie })
          assert.strictEqual(answer.status, 405, `${method} ${path}`)
          assert.strictEqual(answer.headers["allow"], allowed.join(", "), `${method} ${path}`)
        }
      }
    })
  )

  it.effect("goes to an edge for what the edge API has, and for what is under http, alone", () =>
    Effect.sync(() => {
      const cloud = new Set(
        Object.values(CloudApi.groups).flatMap((group) =>
          Object.values(group.endpoints).map(({ method, path }) => `${method} ${path}`)
        )
      )
      for (const { method, path } of routesOf(PublicApi)) {
        const isEdges = !cloud.has(`${method} ${path}`)
        const target = path.replaceAll(/:[A-Za-z]+/g, "x")
        assert.strictEqual(GatewayRoute.parse(method, target) !== undefined, isEdges, `${method} ${path}`)
      }
      for (const path of [
        "/api/edges/x/httpd",
        "/api/edges/x/nothing",
        "/api/edges/x",
        "/api/edges/events",
        "/"
      ]) {
        assert.isUndefined(GatewayRoute.parse("GET", path), path)
      }
    })
  )
})
