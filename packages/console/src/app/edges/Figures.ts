import { useEffect, useRef } from "react"
import { call, type Edge } from "../api/Client.ts"
import { liveEdges } from "../live/LiveEdges.ts"
import { Problem } from "../api/Problem.ts"

const everyMillis = 5_000

/**
 * Round trips and streams of what is on the screen: events tell of changes and not of figures, so they are asked for,
 * of one edge after the other, while anybody looks.
 */
export const useFigures = (shown: ReadonlyArray<Edge>): void => {
  const ids = useRef<ReadonlyArray<string>>([])
  useEffect(() => {
    ids.current = shown.filter(({ online }) => online).map(({ id }) => id)
  })
  useEffect(() => {
    let isOver = false
    let timer: ReturnType<typeof setTimeout>
    const round = async () => {
      if (document.visibilityState === "visible") {
        for (const edgeId of ids.current) {
          if (isOver) return
          await refresh(edgeId)
        }
      }
      if (!isOver) timer = setTimeout(round, everyMillis)
    }
    timer = setTimeout(round, everyMillis)
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }, [])
}

/** What the server says now; nothing changes where it says nothing: the stream tells of what is lost. */
const refresh = async (edgeId: string): Promise<void> => {
  try {
    liveEdges.put(await call("GET /api/edges/:edgeId", { params: { edgeId } }))
  } catch (error) {
    if (error instanceof Problem && error.status === 404) liveEdges.drop(edgeId)
  }
}
