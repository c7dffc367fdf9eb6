/**
 * What happens in front of the simulated cameras: some people, a car and a dog that come and go. A pure function
 * of time, so that the boxes which inference reports lie where the camera draws them.
 */
import type { Detection } from "@edge-relay/domain/edge-api/Inference"

export interface Actor {
  readonly label: string
  readonly colour: readonly [number, number, number]
  readonly box: Detection["box"]
}

interface Role {
  readonly label: string
  readonly colour: readonly [number, number, number]
  readonly width: number
  readonly height: number
  readonly top: number
  /** From one side to the other, in milliseconds. */
  readonly period: number
  readonly delay: number
}

const roles: ReadonlyArray<Role> = [
  { label: "car", colour: [196, 62, 52], width: 0.26, height: 0.2, top: 0.62, period: 9_000, delay: 0 },
  {
    label: "person",
    colour: [52, 120, 196],
    width: 0.07,
    height: 0.34,
    top: 0.42,
    period: 23_000,
    delay: 4_000
  },
  {
    label: "person",
    colour: [84, 160, 92],
    width: 0.07,
    height: 0.32,
    top: 0.46,
    period: 31_000,
    delay: 11_000
  },
  { label: "dog", colour: [150, 108, 62], width: 0.1, height: 0.12, top: 0.68, period: 17_000, delay: 7_000 }
]

/** Who is in the picture at `millis`; a box is cut where it leaves it. */
export const sceneAt = (millis: number): ReadonlyArray<Actor> =>
  roles.flatMap((role) => {
    const turn = Math.floor((millis + role.delay) / role.period)
    const way = ((millis + role.delay) % role.period) / role.period
    const travelled = (turn % 2 === 0 ? way : 1 - way) * (1 + 2 * role.width) - role.width
    const left = Math.max(0, travelled)
    const right = Math.min(1, travelled + role.width)
    // Less than this is not seen.
    if (right - left < 0.02) return []
    const box = { x: round(left), y: role.top, width: round(right - left), height: role.height }
    return [{ label: role.label, colour: role.colour, box }]
  })

const round = (fraction: number) => Math.round(fraction * 10_000) / 10_000
