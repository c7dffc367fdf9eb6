import { randomBytes } from "node:crypto"
import * as http from "node:http"
import { Program, until } from "../Program.ts"
import { addresses, agent, edgesOf, folder, pairingCode, signIn } from "../RelaySystem.ts"

/**
 * A camera's stream through the whole chain, each of it a process of its own: api, proxy, agent, and the provider
 * that is signed in at. The camera and who watches it are in this process, hence have the same clock.
 */

export interface Watched {
  readonly sent: number
  readonly frames: number
  /** Of frames, from the camera to whoever watches, in milliseconds. */
  readonly medianMillis: number
  readonly p99Millis: number
  readonly longestMillis: number
  /** Resident memory of the api: once the stream had begun, and at most since then. */
  readonly memoryBefore: number
  readonly memoryMost: number
}

export interface Camera {
  readonly seconds: number
  readonly framesPerSecond: number
  readonly frameBytes: number
  /**
   * A frame is sent once the one before it has been seen, so that one which is held back on its way stops the
   * stream: that shows without a clock. Else as many are sent a second as are due.
   */
  readonly lockstep?: boolean
  readonly onSecond?: (frames: number, memory: number) => void
}

const boundary = "frame"

export const watch = async (options: Camera): Promise<Watched> => {
  const { seconds, framesPerSecond, frameBytes, lockstep = false, onSecond } = options
  const picture = randomBytes(frameBytes - stampBytes)
  const reader = new FrameReader(picture)
  await using home = await folder()
  await using state = await folder()
  const at = await addresses()
  const env = {
    ...at.env,
    PUBLIC_URL: at.api,
    TUNNEL_URL: at.tunnel,
    PROXY_INTERNAL_URL: at.internal,
    INTERNAL_KEY: randomBytes(32).toString("base64"),
    SESSION_KEYS: randomBytes(32).toString("base64"),
    OIDC_ISSUER: at.provider,
    OIDC_CLIENT_ID: "edge-relay",
    DATABASE_URL: `sqlite:${home.path}/relay.db`
  }
  await using camera = await openCamera(
    picture,
    framesPerSecond,
    seconds,
    (sent) => !lockstep || reader.delays.length === sent
  )
  await using _provider = new Program("packages/devkit/src/provider/main.ts", [], env, home.path)
  // With a small young generation, which is collected often: what is seen is what is kept, and not what is yet to be
  // collected. Without it the api gathers some 60 MB before V8 looks.
  const seen = { ...env, NODE_OPTIONS: "--max-semi-space-size=1" }
  await using _api = new Program("packages/server-api/src/main.ts", [], seen, home.path)
  await using _proxy = new Program("packages/server-proxy/src/main.ts", [], env, home.path)
  for (const url of [at.api, at.internal]) {
    await until(
      async () => (await fetch(`${url}/readyz`)).status,
      (status) => status === 200
    )
  }
  const alice = await signIn(at.api, "alice")
  const code = await pairingCode(alice, at.api, "a camera")
  const pair = agent(["pair", code, "--url", at.api, "--to", `http://127.0.0.1:${camera.port}`], state.path)
  if ((await pair.exited) !== 0) throw new Error(pair.output)
  await using _agent = agent(["run"], state.path)
  const [edge] = await until(
    () => edgesOf(alice, at.api),
    (items) => items[0]?.online === true
  )
  const url = `${at.api}/api/edges/${edge?.id}/cameras/front/stream`
  const metrics = `http://127.0.0.1:${at.env["API_INTERNAL_PORT"]}/metrics`
  const memoryOfApi = async (): Promise<number> => {
    const text = await (await fetch(metrics)).text()
    return Number(/^process_resident_memory_bytes\S* (\S+)/m.exec(text)?.[1])
  }

  const memory: Array<number> = []
  const sampling = new AbortController()
  const sample = async (): Promise<void> => {
    // What is set up with the first frames is not what grows with them.
    await until(
      async () => reader.delays.length,
      (frames) => frames >= framesPerSecond
    )
    while (!sampling.signal.aborted) {
      const now = await memoryOfApi()
      memory.push(now)
      onSecond?.(reader.delays.length, now)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000)
        sampling.signal.addEventListener("abort", () => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }
  const sampled = sample()
  try {
    await read(url, alice.cookieFor(url), reader)
  } finally {
    sampling.abort()
    await sampled
  }

  const delays = reader.delays.toSorted((one, other) => one - other)
  const delayOf = (share: number) =>
    delays[Math.min(delays.length - 1, Math.floor(delays.length * share))] ?? NaN
  return {
    sent: camera.sent(),
    frames: delays.length,
    medianMillis: delayOf(0.5),
    p99Millis: delayOf(0.99),
    longestMillis: delayOf(1),
    memoryBefore: memory[0] ?? NaN,
    memoryMost: Math.max(...memory)
  }
}

/** A frame begins with its number, and when it was sent on the clock of `performance.now()`. */
const stampBytes = 12

const openCamera = async (
  picture: Buffer,
  framesPerSecond: number,
  seconds: number,
  mayGoOn: (sent: number) => boolean
) => {
  let sent = 0
  const server = http.createServer((_, response) => {
    response.writeHead(200, { "Content-Type": `multipart/x-mixed-replace; boundary=${boundary}` })
    const begun = performance.now()
    const timer = setInterval(() => {
      // As many as are due: a timer that comes late makes the stream no slower.
      const due = Math.min(seconds, (performance.now() - begun) / 1000) * framesPerSecond
      for (; sent < due && mayGoOn(sent); sent++) {
        const stamp = Buffer.alloc(stampBytes)
        stamp.writeUInt32BE(sent)
        stamp.writeDoubleBE(performance.now(), 4)
        const length = stampBytes + picture.length
        response.write(`--${boundary}\r\nContent-Type: image/jpeg\r\nContent-Length: ${length}\r\n\r\n`)
        response.write(stamp)
        response.write(picture)
        response.write("\r\n")
      }
      if (sent >= seconds * framesPerSecond && !response.writableEnded) response.end(`--${boundary}--\r\n`)
    }, 1000 / framesPerSecond)
    response.once("close", () => clearInterval(timer))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    sent: () => sent,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

/** Fails with the first frame that is not the next one, whole. */
class FrameReader {
  readonly delays: Array<number> = []
  isEnded = false
  readonly #picture: Buffer
  #unread: Buffer = Buffer.alloc(0)

  constructor(picture: Buffer) {
    this.#picture = picture
  }

  push(chunk: Buffer): void {
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk])
    while (this.#takeOne()) continue
  }

  #takeOne(): boolean {
    const headEnd = this.#unread.indexOf("\r\n\r\n")
    if (headEnd === -1) {
      this.isEnded = this.#unread.equals(Buffer.from(`--${boundary}--\r\n`))
      return false
    }
    const head = this.#unread.toString("latin1", 0, headEnd)
    const [, length] = /^--frame\r\nContent-Type: image\/jpeg\r\nContent-Length: (\d+)$/.exec(head) ?? []
    if (length === undefined) throw new Error(`frame ${this.delays.length} has a head of ${head}`)
    const end = headEnd + 4 + Number(length)
    if (this.#unread.length < end + 2) return false
    const frame = this.#unread.subarray(headEnd + 4, end)
    const number = frame.readUInt32BE()
    if (number !== this.delays.length) throw new Error(`frame ${number} in place of ${this.delays.length}`)
    if (!frame.subarray(stampBytes).equals(this.#picture)) throw new Error(`frame ${number} is another one`)
    if (this.#unread.toString("latin1", end, end + 2) !== "\r\n")
      throw new Error(`frame ${number} has no end`)
    this.delays.push(performance.now() - frame.readDoubleBE(4))
    this.#unread = this.#unread.subarray(end + 2)
    return true
  }
}

const read = (url: string, cookie: string, reader: FrameReader): Promise<void> =>
  new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false, headers: { cookie } }, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`status ${response.statusCode}`))
      response.on("data", (chunk: Buffer) => {
        try {
          reader.push(chunk)
        } catch (error) {
          request.destroy()
          reject(error)
        }
      })
      response.once("end", () =>
        reader.isEnded ? resolve() : reject(new Error("the stream ended before its end"))
      )
      response.on("error", reject)
    })
    request.on("error", reject)
  })

/** What such a stream must be, however long it lasts. The machine may have other things to do for a moment. */
export const faultsOf = (
  watched: Watched,
  { framesPerSecond, lockstep, seconds }: Camera
): ReadonlyArray<string> => {
  const { frames, sent, medianMillis, p99Millis, longestMillis, memoryBefore, memoryMost } = watched
  const faults: Array<string> = []
  if (frames !== sent || frames !== framesPerSecond * seconds) faults.push(`${frames} frames of ${sent} came`)
  if (lockstep !== true) {
    if (!(medianMillis < 20)) faults.push(`half of the frames took more than ${medianMillis} ms`)
    if (!(p99Millis < 500)) faults.push(`a frame in a hundred took more than ${p99Millis} ms`)
    if (!(longestMillis < 2000)) faults.push(`a frame took ${longestMillis} ms`)
  }
  if (!(memoryMost - memoryBefore < mostGrown))
    faults.push(`memory grew by ${memoryMost - memoryBefore} bytes`)
  return faults
}

/** A minute of it is 75 MB: what were kept of it would be seen. */
const mostGrown = 24 * 1024 * 1024
