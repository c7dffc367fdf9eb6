import * as Problem from "@edge-relay/domain/api/Problem"
import { isSafeMethod } from "@edge-relay/domain/api/SafeMethod"
import type { LocalServer } from "@edge-relay/domain/tunnels/LocalServer"
import { reset } from "@edge-relay/tunnel/Splice"
import { Cause } from "effect"
import type { Duplex } from "node:stream"
import { Answer } from "./Answer.ts"
import type { Forwarding } from "./Forwarding.ts"
import { discardBody } from "../http/DiscardBody.ts"
import { type Broken, type ConnectionSink, EdgeConnection } from "../pool/EdgeConnection.ts"
import type { EdgePool } from "../pool/EdgePool.ts"
import * as GatewayProblem from "../GatewayProblem.ts"
import * as EdgesOwn from "../http/EdgesOwn.ts"
import * as LocalHost from "../http/LocalHost.ts"
import type { Place } from "../http/Place.ts"
import { Patience, type PatienceLimits, type Turn } from "./Patience.ts"
import { withoutStrayLocation } from "./Redirect.ts"
import { MalformedResponse } from "../http/MalformedResponse.ts"
import type { ResponseHead } from "../http/ResponseHead.ts"

/**
 * One request on its way to an edge, and the answer on its way back. It ends once: with the edge's answer, with
 * a problem of ours where no byte of an answer had gone out, or with a broken connection where one had.
 */

export interface ExchangeOwner extends PatienceLimits {
  readonly now: () => number
  readonly onEnded: (exchange: Exchange) => void
  /** A bug of ours, here or in the opening of a stream. */
  readonly onDefect: (exchange: Exchange, cause: Cause.Cause<unknown>) => void
}

/**
 * What a page from an edge may not do is be us: it runs on an origin of its own, which nobody else has. Caches that
 * many share may not keep an answer: they would if it said nothing (RFC 9111 §4.2.2).
 */
const addedToAnswers: { readonly [place in Place]: ReadonlyArray<string> } = {
  "our-origin": [
    "Content-Security-Policy",
    "sandbox allow-scripts allow-forms",
    "X-Content-Type-Options",
    "nosniff",
    "Cache-Control",
    "private",
    "X-Request-Id"
  ],
  "edge-host": ["Cache-Control", "private", "X-Request-Id"]
}

export class Exchange implements ConnectionSink {
  readonly forwarding: Forwarding
  readonly startedAt: number
  readonly method: string
  readonly mayUpgrade: boolean
  readonly place: Place
  /** Of bodies. In: from the edge. Out: to it. */
  bytesIn = 0
  bytesOut = 0
  status: number | null = null
  cause: string | null = null
  /** Brings `bytesIn` and `bytesOut` of an upgraded connection up to date. */
  count: () => void = () => undefined
  /** Of those bytes, the ones that have been told. */
  bytesTold = 0
  /** The edge's local server, as far as its agent has told of it. Undefined on our origin. */
  readonly #local: LocalServer | undefined
  readonly #owner: ExchangeOwner
  readonly #pool: EdgePool
  readonly #repeatable: boolean
  #connection: EdgeConnection | undefined
  #giveUpDialing: (() => void) | undefined
  readonly #patience: Patience
  /** The browser has been told to send the body that it announced. */
  #continued = false
  #sent = false
  #ended = false
  #retried = false
  readonly #answer: Answer
  #switchHead: ResponseHead | undefined
  #switched: Duplex | undefined

  constructor(forwarding: Forwarding, pool: EdgePool, owner: ExchangeOwner, local?: LocalServer) {
    this.forwarding = forwarding
    this.#local = local
    this.method = forwarding.request.method ?? "GET"
    this.mayUpgrade = forwarding.onSwitch !== undefined
    this.place = forwarding.own === undefined ? "our-origin" : "edge-host"
    this.#pool = pool
    this.#owner = owner
    this.#repeatable = forwarding.head.body === "none" && isSafeMethod(this.method)
    this.#answer = new Answer(forwarding.response)
    this.startedAt = owner.now()
    this.#patience = new Patience(owner, this.startedAt)
  }

  start(): void {
    this.forwarding.response.once("close", this.#onBrowserGone)
    this.#guarded(() => {
      const connection = this.#pool.take(this.#repeatable, this.startedAt)
      if (connection === undefined) this.#dial()
      else this.#send(connection)
    })
  }

  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#died(Cause.die(error))
    }
  }

  #died(cause: Cause.Cause<unknown>): void {
    this.#owner.onDefect(this, cause)
    this.fail(GatewayProblem.ofCause(cause))
  }

  #dial(): void {
    const giveUp = this.#pool.dial(
      (result) => {
        this.#giveUpDialing = undefined
        if (result instanceof EdgeConnection) return this.#guarded(() => this.#send(result))
        if (result._tag === "Died") return this.#died(result.cause)
        this.fail(GatewayProblem.ofDialFailure(result))
      },
      this.forwarding.span,
      this.forwarding.requestId
    )
    if (this.#connection === undefined && !this.#ended) this.#giveUpDialing = giveUp
  }

  #send(connection: EdgeConnection): void {
    const { target, head, added, expectsContinue, own } = this.forwarding
    this.#connection = connection
    const local = own !== undefined && LocalHost.isLocal(this.#local) ? this.#local : undefined
    const host = local === undefined ? (own?.host ?? "localhost") : LocalHost.hostOf(local)
    const lines =
      local === undefined || own === undefined ? head.lines : LocalHost.lines(head.lines, own.origin, local)
    let text = `${this.method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${lines}${added}`
    if (head.body === "chunked") text += "Transfer-Encoding: chunked\r\n"
    if (expectsContinue) text += "Expect: 100-continue\r\n"
    if (this.mayUpgrade) text += `Connection: Upgrade\r\nUpgrade: ${head.upgrade ?? ""}\r\n`
    else if (connection.protocol === "v1") text += "Connection: close\r\n"
    connection.begin(this.method, `${text}\r\n`, this)
    if (head.body === "none") this.#sent = true
    else this.#pump(connection, head.body === "chunked")
  }

  #pump(connection: EdgeConnection, chunked: boolean): void {
    const { request } = this.forwarding
    this.#patience.moved(this.#owner.now())
    request.on("data", (chunk: Buffer) => {
      if (this.#answer.hasEnded || this.#ended) return
      this.bytesOut += chunk.length
      this.#patience.sent(this.#owner.now())
      if (!(chunked ? connection.writeChunk(chunk) : connection.write(chunk))) request.pause()
    })
    request.once("end", () => {
      if (this.#answer.hasEnded || this.#ended) return
      if (chunked) connection.writeLastChunk()
      this.#sent = true
      this.#patience.sent(this.#owner.now())
    })
    // The browser broke off: `close` of the response says so too.
    request.on("error", () => undefined)
  }

  isSent(): boolean {
    return this.#sent
  }

  onDrain(): void {
    this.#patience.moved(this.#owner.now())
    this.forwarding.request.resume()
  }

  readonly onInformation = (head: ResponseHead): void => {
    const { response, request, expectsContinue } = this.forwarding
    if (head.status === 100) {
      if (!expectsContinue || this.#continued) return
      this.#continued = true
      this.#patience.moved(this.#owner.now())
      response.writeContinue()
    } else if (request.httpVersion === "1.1") {
      response.writeInformation(head.status, head.headers)
    }
  }

  onHead(head: ResponseHead): void {
    this.#patience.answering()
    this.status = head.status
    const { own, request, requestId, renewedCookie } = this.forwarding
    if (head.status === 101) {
      // RFC 9110 §7.8.
      if (!isOffered(head.upgrade, this.forwarding.head.upgrade)) {
        throw new MalformedResponse("an upgrade to what was not asked for")
      }
      if (renewedCookie !== undefined) head.headers.push("Set-Cookie", renewedCookie)
      this.#switchHead = head
      return
    }
    const headers =
      own === undefined
        ? withoutStrayLocation(head.headers, head.status, this.method, request.url ?? "")
        : EdgesOwn.atHost(head.headers, own.origin, this.#local?.origin)
    headers.push(...addedToAnswers[this.place], requestId)
    if (renewedCookie !== undefined) headers.push("Set-Cookie", renewedCookie)
    this.#answer.hold(head, headers)
  }

  readonly onBody = (part: Buffer): void => {
    this.bytesIn += part.length
    if (!this.#sent) this.#patience.moved(this.#owner.now())
    if (this.#answer.write(part)) return
    this.#connection?.pause()
    this.forwarding.response.once("drain", this.#onBrowserDrain)
  }

  readonly #onBrowserDrain = (): void => this.#connection?.resume()

  onFlush(): void {
    this.#answer.flush()
  }

  onEnd(): void {
    this.#connection = undefined
    this.#answer.end()
    this.#end()
  }

  onSwitch(stream: Duplex, behind: Buffer | undefined): void {
    this.forwarding.response.off("close", this.#onBrowserGone)
    this.#switched = stream
    this.#patience.moved(this.#owner.now())
    if (this.#switchHead !== undefined) this.forwarding.onSwitch?.(this, this.#switchHead, stream, behind)
  }

  onBroken({ defect, silent, reused, detail }: Broken): void {
    if (defect !== undefined) return this.#died(Cause.die(defect))
    if (this.#repeatable && reused && silent && !this.#retried) {
      this.#retried = true
      this.#connection = undefined
      return this.#dial()
    }
    // It has no end of its own: who reads it drops what was cut and comes back (HTML, "Server-sent events").
    if (this.#answer.isEventStream && this.forwarding.response.headersSent) return this.onEnd()
    this.fail(new Problem.EdgeReset({ detail: `The edge broke off before it had answered: ${detail}.` }))
  }

  /** Called every now and then. */
  checkDeadline(now: number): void {
    const switched = this.#switched
    const problem =
      switched === undefined
        ? this.#patience.check(now, this.#turn())
        : this.#patience.checkSwitched(now, isOneWay(switched), this.#hasMoved())
    if (problem !== undefined) this.fail(problem)
  }

  #turn(): Turn {
    const isWaiting = this.forwarding.expectsContinue && !this.#continued && this.bytesOut === 0
    if (this.#sent || isWaiting || this.#connection === undefined) return "nobody"
    return this.#connection.needsDrain ? "edge" : "browser"
  }

  #hasMoved(): boolean {
    const bytes = this.bytesIn + this.bytesOut
    this.count()
    return this.bytesIn + this.bytesOut !== bytes
  }

  /** Whoever asked may ask no more. */
  endSession(): void {
    this.fail(new Problem.Unauthorized({ detail: "The session has ended." }))
  }

  /** Ends it with a problem, or where an answer has begun, by breaking it off. */
  fail(problem: GatewayProblem.GatewayProblem): void {
    if (this.#ended) return
    const { isNavigation, response, request, requestId } = this.forwarding
    response.off("close", this.#onBrowserGone)
    this.#letGo()
    this.cause = problem.code
    if (this.#switched !== undefined) {
      reset(this.#switched)
    } else if (response.headersSent) {
      // Without a length or chunks only a reset tells a broken answer from a short one.
      if (request.httpVersion === "1.0" && response.socket !== null) reset(response.socket)
      else response.destroy()
    } else if (!response.destroyed) {
      this.status = problem.status
      GatewayProblem.send(response, problem, requestId, isNavigation)
    }
    this.#end()
  }

  /** An upgraded connection is over. */
  closed(): void {
    this.#end()
  }

  readonly #onBrowserGone = (): void => {
    if (this.#ended) return
    this.#letGo()
    this.cause = "client_closed"
    this.#end()
  }

  #letGo(): void {
    this.#giveUpDialing?.()
    this.#giveUpDialing = undefined
    this.#connection?.destroy()
    this.#connection = undefined
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    if (!this.#sent) discardBody(this.forwarding.request)
    this.#owner.onEnded(this)
  }
}

const isOneWay = (stream: Duplex): boolean =>
  stream.writableNeedDrain || stream.writableEnded || stream.readableEnded

const isOffered = (chosen = "", offered = ""): boolean => {
  const names = protocols(offered)
  return protocols(chosen).every((name) => name !== "" && names.includes(name))
}

const protocols = (upgrade: string): ReadonlyArray<string> =>
  upgrade.split(",").map((name) => name.trim().toLowerCase())
