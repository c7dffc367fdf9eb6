import { type ReactNode, useEffect } from "react"
import { text } from "../text/Text.ts"

/** A page's heading and its title in the tab. */
export const Page = (props: {
  readonly title: string
  readonly beside?: ReactNode
  readonly children: ReactNode
}) => {
  useEffect(() => {
    document.title = `${props.title} · ${text.name}`
  }, [props.title])
  return (
    <>
      <div className="row between">
        <h1>{props.title}</h1>
        {props.beside}
      </div>
      {props.children}
    </>
  )
}

/** Where there is nothing to show: why, and what to do. */
export const Empty = (props: {
  readonly title: string
  readonly why: string
  readonly children?: ReactNode
}) => (
  <section className="empty">
    <h2>{props.title}</h2>
    <p>{props.why}</p>
    {props.children}
  </section>
)
