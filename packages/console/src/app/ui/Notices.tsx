import { useSyncExternalStore } from "react"
import { explain, text } from "../text/Text.ts"

/** What is said once, at the top of the page: how something ended, or why it did not. */
interface Notice {
  readonly id: number
  readonly kind: "done" | "failed"
  readonly message: string
}

let notices: ReadonlyArray<Notice> = []
let lastId = 0
const listeners = new Set<() => void>()

const set = (next: ReadonlyArray<Notice>): void => {
  notices = next
  for (const listener of listeners) listener()
}

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** The newest alone: what came before has been read, or no longer matters. */
export const tellDone = (message: string): void => set([{ id: ++lastId, kind: "done", message }])
export const tellFailed = (error: unknown): void =>
  set([{ id: ++lastId, kind: "failed", message: typeof error === "string" ? error : explain(error) }])
export const clearNotices = (): void => set([])

/** Runs what a person asked for; a failure is shown, never lost. */
export const attempt = async (action: () => Promise<void>): Promise<void> => {
  clearNotices()
  try {
    await action()
  } catch (error) {
    tellFailed(error)
  }
}

/** Two live regions that are there from the start: screen readers hear what is put into them. */
export const Notices = () => {
  const all = useSyncExternalStore(subscribe, () => notices)
  const of = (kind: Notice["kind"]) =>
    all
      .filter((notice) => notice.kind === kind)
      .map(({ id, message }) => (
        <p key={id} className={`notice ${kind}`}>
          <span>{message}</span>
          <button type="button" className="quiet" onClick={clearNotices}>
            {text.dismiss}
          </button>
        </p>
      ))
  return (
    <>
      <div role="status">{of("done")}</div>
      <div role="alert">{of("failed")}</div>
    </>
  )
}
