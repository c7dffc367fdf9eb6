import {
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Redacted,
  References,
  Schedule,
  Scope
} from "effect"
import { Redis } from "effect/persistence"

/**
 * A Redis that may be away: the layer is built within two seconds whether it is there or not, goes on trying to
 * connect for as long as it takes, and a command fails after two seconds where it would else wait for an answer
 * that may never come.
 */
export const layer = (connect: Layer.Layer<Redis.Redis, Redis.RedisError>): Layer.Layer<Redis.Redis> =>
  Layer.effect(
    Redis.Redis,
    Effect.gen(function* () {
      const connected = yield* Deferred.make<Redis.Redis["Service"]>()
      const scope = yield* Scope.make()
      // Its client waits for answers that are still due: for ever, where Redis hangs.
      yield* Effect.addFinalizer(() =>
        Scope.close(scope, Exit.void).pipe(
          Effect.forkDetach({ startImmediately: true }),
          Effect.flatMap((closing) => Effect.interruptible(Fiber.await(closing))),
          Effect.timeoutOption(PATIENCE)
        )
      )
      yield* Layer.buildWithScope(connect, scope).pipe(
        Effect.flatMap((context) => Deferred.succeed(connected, Context.get(context, Redis.Redis))),
        Effect.retry(Schedule.spaced("1 second")),
        // It logs every try to connect, several a second; whoever needs Redis says that it is away.
        Effect.provideService(References.MinimumLogLevel, "Error"),
        Effect.forkScoped
      )
      // Where it is there, whoever comes next finds it.
      yield* Effect.timeoutOption(Deferred.await(connected), PATIENCE)
      const patiently = <A>(command: (redis: Redis.Redis["Service"]) => Effect.Effect<A, Redis.RedisError>) =>
        Effect.flatMap(Deferred.poll(connected), (found) =>
          Option.isNone(found)
            ? Effect.fail(noAnswer())
            : Effect.flatMap(found.value, command).pipe(
                Effect.timeoutOrElse({ duration: PATIENCE, orElse: () => Effect.fail(noAnswer()) })
              )
        )
      return Redis.Redis.of({
        send: (command, ...args) => patiently((redis) => redis.send(command, ...args)),
        eval:
          (script) =>
          (...params) =>
            patiently((redis) => redis.eval(script)(...params)),
        subscribe: (channel) =>
          Effect.flatMap(Deferred.await(connected), (redis) => redis.subscribe(channel)),
        reserve: Effect.flatMap(Deferred.await(connected), (redis) => redis.reserve)
      })
    })
  )

/**
 * For a client of the `redis` package. A connection that says nothing for five seconds, though it is asked, is dead;
 * it is made anew for as long as it takes. While there is none, commands fail instead of piling up.
 */
export const clientOptions = (url: Redacted.Redacted<string>) => ({
  url: Redacted.value(url),
  disableOfflineQueue: true,
  pingInterval: 2_000,
  socket: {
    connectTimeout: 5_000,
    socketTimeout: 5_000,
    reconnectStrategy: (tries: number) => Math.min(50 * 2 ** tries, MAX_RECONNECT_MILLIS)
  }
})

/** One try a second costs nothing, and what has healed is noticed soon. */
const MAX_RECONNECT_MILLIS = 1_000

/** Shorter than a client waits, or a readiness probe. */
const PATIENCE = "2 seconds"

const noAnswer = () => new Redis.RedisError({ cause: new Error("redis does not answer") })
