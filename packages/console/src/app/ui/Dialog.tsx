import { type ReactNode, useEffect, useId, useRef, useState } from "react"
import { explain, text } from "../text/Text.ts"

/**
 * A question, on the browser's own modal dialog: it keeps the focus inside, makes the rest inert, closes on Escape and
 * gives the focus back. (Libraries lock scrolling by a style element, which our policy does not allow.)
 */
export const Dialog = (props: {
  readonly title: string
  readonly onClose: () => void
  readonly children: ReactNode
}) => {
  const ref = useRef<HTMLDialogElement>(null)
  const titleId = useId()
  useEffect(() => {
    const dialog = ref.current
    const before = document.activeElement
    if (dialog?.open === false) dialog.showModal()
    return () => {
      dialog?.close()
      // What the dialog was opened from may be gone by now; then the page's own place is next best.
      const target =
        before instanceof HTMLElement && before.isConnected ? before : document.querySelector("main")
      if (target instanceof HTMLElement) target.focus()
    }
  }, [])
  return (
    <dialog
      ref={ref}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault()
        props.onClose()
      }}
    >
      <h2 id={titleId}>{props.title}</h2>
      {props.children}
    </dialog>
  )
}

/** A dialog with a form: what was asked for is done before it closes, and what went wrong is said inside. */
export const FormDialog = (props: {
  readonly title: string
  readonly submit: string
  readonly isDangerous?: boolean
  readonly isReady?: boolean
  readonly onSubmit: () => Promise<void>
  readonly onClose: () => void
  readonly children: ReactNode
}) => {
  const [problem, setProblem] = useState("")
  const [isBusy, setBusy] = useState(false)
  const submit = async () => {
    setBusy(true)
    setProblem("")
    try {
      await props.onSubmit()
      props.onClose()
    } catch (error) {
      setProblem(explain(error))
      setBusy(false)
    }
  }
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (props.isReady !== false && !isBusy) void submit()
        }}
      >
        {props.children}
        <div role="alert">{problem !== "" && <p className="notice failed">{problem}</p>}</div>
        <div className="row end">
          <button type="button" className="quiet" onClick={props.onClose}>
            {text.cancel}
          </button>
          <button
            type="submit"
            className={props.isDangerous === true ? "danger" : ""}
            disabled={props.isReady === false || isBusy}
          >
            {props.submit}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

/** A dialog that wants a word typed before it does what cannot be undone. */
export const ConfirmDialog = (props: {
  readonly title: string
  readonly why: string
  readonly typed: string
  readonly prompt: string
  readonly submit: string
  readonly onSubmit: () => Promise<void>
  readonly onClose: () => void
}) => {
  const [value, setValue] = useState("")
  return (
    <FormDialog {...props} isDangerous isReady={value.trim() === props.typed}>
      <p>{props.why}</p>
      <TextField label={props.prompt} value={value} onChange={setValue} />
    </FormDialog>
  )
}

export const TextField = (props: {
  readonly label: string
  readonly value: string
  readonly onChange: (value: string) => void
  readonly hint?: string
  readonly maxLength?: number
  readonly pattern?: string
  readonly isRequired?: boolean
}) => {
  const hintId = useId()
  return (
    <label className="field">
      <span>{props.label}</span>
      <input
        value={props.value}
        onChange={({ target }) => props.onChange(target.value)}
        autoComplete="off"
        spellCheck={false}
        required={props.isRequired}
        maxLength={props.maxLength}
        pattern={props.pattern}
        aria-describedby={props.hint === undefined ? undefined : hintId}
      />
      {props.hint !== undefined && (
        <small id={hintId} className="dim">
          {props.hint}
        </small>
      )}
    </label>
  )
}
