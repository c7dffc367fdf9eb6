/** Clusters of the simulated edge; they are kept in memory. A device is in one cluster at most. */
import {
  type Cluster,
  type ClusterChanges,
  ClusterId,
  type ClusterLoad,
  type NewCluster
} from "@edge-relay/domain/edge-api/Clusters"
import type { DeviceId } from "@edge-relay/domain/edge-api/Devices"
import { Conflict, NotFound } from "@edge-relay/domain/edge-api/EdgeProblem"
import type { ModelId } from "@edge-relay/domain/edge-api/Models"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { Context, DateTime, Effect, Layer, Random, Stream, SubscriptionRef } from "effect"
import { SecureRandom } from "effect/crypto"
import { Accelerators } from "../devices/Accelerators.ts"
import { resultsPerSecond } from "../devices/InferenceRuns.ts"
import { ModelStore } from "../files/ModelStore.ts"

type ClusterMessage =
  | { readonly event: "cluster"; readonly data: Cluster }
  | { readonly event: "load"; readonly data: ClusterLoad }

type All = ReadonlyMap<ClusterId, Cluster>

export class Clusters extends Context.Service<
  Clusters,
  {
    /** Oldest first. */
    readonly list: Effect.Effect<ReadonlyArray<Cluster>>
    readonly get: (id: ClusterId) => Effect.Effect<Cluster, NotFound>
    readonly create: (wanted: typeof NewCluster.Type) => Effect.Effect<Cluster, NotFound | Conflict>
    readonly change: (
      id: ClusterId,
      changes: typeof ClusterChanges.Type
    ) => Effect.Effect<Cluster, NotFound | Conflict>
    readonly remove: (id: ClusterId) => Effect.Effect<void, NotFound | Conflict>
    readonly start: (id: ClusterId) => Effect.Effect<Cluster, NotFound | Conflict>
    readonly stop: (id: ClusterId) => Effect.Effect<Cluster, NotFound>
    /** The cluster, its changes, and each second its load while it runs. Ends with the cluster. */
    readonly messages: (id: ClusterId) => Effect.Effect<Stream.Stream<ClusterMessage>, NotFound>
    readonly uses: (modelId: ModelId) => Effect.Effect<boolean>
    /** Stops all, as a restart of the machine does. */
    readonly reset: Effect.Effect<void>
  }
>()("@edge-relay/devkit/simulated-edge/clusters/Clusters") {
  static readonly layer = Layer.effect(
    Clusters,
    Effect.gen(function* () {
      const accelerators = yield* Accelerators
      const models = yield* ModelStore
      const random = yield* SecureRandom.SecureRandom
      const state = yield* SubscriptionRef.make<All>(new Map())

      const get = Effect.fn("Clusters.get")(function* (id: ClusterId) {
        return yield* find(yield* SubscriptionRef.get(state), id)
      })

      /** All that `cluster` names must exist, and no other cluster have its devices. */
      const check = Effect.fnUntraced(function* (all: All, cluster: Cluster) {
        yield* Effect.forEach(cluster.deviceIds, accelerators.get, { discard: true })
        if (cluster.modelId !== null) yield* models.get(cluster.modelId)
        for (const other of all.values()) {
          const shared =
            other.id === cluster.id ? undefined : other.deviceIds.find((id) => cluster.deviceIds.includes(id))
          if (shared !== undefined) {
            return yield* new Conflict({ detail: `${shared} is part of cluster ${other.name}` })
          }
        }
      })

      const update = <E>(id: ClusterId, step: (current: Cluster, all: All) => Effect.Effect<Cluster, E>) =>
        SubscriptionRef.modifyEffect(state, (all) =>
          Effect.gen(function* () {
            const next = yield* step(yield* find(all, id), all)
            return [next, new Map(all).set(id, next)] as const
          })
        )

      const create = Effect.fn("Clusters.create")(function* (wanted: typeof NewCluster.Type) {
        const typeId = yield* TypeId.make("cluster").pipe(
          Effect.provideService(SecureRandom.SecureRandom, random)
        )
        const cluster: Cluster = {
          id: ClusterId.make(typeId),
          name: wanted.name,
          deviceIds: wanted.deviceIds,
          modelId: wanted.modelId ?? null,
          running: false,
          createdAt: yield* DateTime.now,
          startedAt: null
        }
        return yield* SubscriptionRef.modifyEffect(state, (all) =>
          Effect.as(check(all, cluster), [cluster, new Map(all).set(cluster.id, cluster)] as const)
        )
      })

      const change = Effect.fn("Clusters.change")((id: ClusterId, changes: typeof ClusterChanges.Type) =>
        update(id, (current, all) => {
          if (current.running && (changes.deviceIds !== undefined || changes.modelId !== undefined)) {
            return Effect.fail(new Conflict({ detail: `${current.name} is running` }))
          }
          const next = { ...current, ...changes }
          return Effect.as(check(all, next), next)
        })
      )

      const start = Effect.fn("Clusters.start")((id: ClusterId) =>
        update(id, (current) =>
          Effect.gen(function* () {
            if (current.running) return current
            const devices = yield* Effect.forEach(current.deviceIds, accelerators.describe)
            const notReady = devices.find(
              (device) => device.state === "disconnected" || device.state === "flashing"
            )
            if (notReady !== undefined) {
              return yield* new Conflict({ detail: `${notReady.id} is ${notReady.state}` })
            }
            return { ...current, running: true, startedAt: yield* DateTime.now }
          })
        )
      )

      const remove = Effect.fn("Clusters.remove")((id: ClusterId) =>
        SubscriptionRef.updateEffect(state, (all) =>
          Effect.gen(function* () {
            const current = yield* find(all, id)
            if (current.running) return yield* new Conflict({ detail: `${current.name} is running` })
            return new Map([...all].filter(([each]) => each !== id))
          })
        )
      )

      const messages = Effect.fn("Clusters.messages")(function* (id: ClusterId) {
        yield* get(id)
        return SubscriptionRef.changes(state).pipe(
          Stream.map((all) => all.get(id)),
          Stream.changesWith((a, b) => a === b),
          Stream.takeWhile((cluster) => cluster !== undefined),
          Stream.switchMap(
            (cluster) => {
              const told = Stream.succeed<ClusterMessage>({ event: "cluster", data: cluster })
              return cluster.running ? Stream.concat(told, loadsOf(cluster)) : told
            },
            { bufferSize: 1 }
          )
        )
      })

      return Clusters.of({
        list: Effect.map(SubscriptionRef.get(state), (all) => [...all.values()]),
        get,
        create,
        change,
        remove,
        start,
        stop: (id) => update(id, (current) => Effect.succeed(stopped(current))),
        messages,
        uses: (modelId) =>
          Effect.map(SubscriptionRef.get(state), (all) =>
            [...all.values()].some((each) => each.modelId === modelId)
          ),
        reset: SubscriptionRef.update(
          state,
          (all) => new Map([...all].map(([id, each]) => [id, stopped(each)]))
        )
      })
    })
  )
}

const find = (all: All, id: ClusterId): Effect.Effect<Cluster, NotFound> => {
  const cluster = all.get(id)
  return cluster === undefined
    ? Effect.fail(new NotFound({ detail: `there is no cluster ${id}` }))
    : Effect.succeed(cluster)
}

const stopped = (cluster: Cluster): Cluster => ({ ...cluster, running: false, startedAt: null })

const loadsOf = (cluster: Cluster): Stream.Stream<ClusterMessage> =>
  Stream.fromEffectRepeat(
    Effect.gen(function* () {
      yield* Effect.sleep("1 second")
      const deviceLoad = (deviceId: DeviceId) =>
        Effect.map(Random.nextBetween(55, 90), (loadPercent) => ({
          deviceId,
          loadPercent: Math.round(loadPercent)
        }))
      const data: ClusterLoad = {
        clusterId: cluster.id,
        at: yield* DateTime.now,
        resultsPerSecond: cluster.deviceIds.length * resultsPerSecond,
        devices: yield* Effect.forEach(cluster.deviceIds, deviceLoad)
      }
      return { event: "load" as const, data }
    })
  )
