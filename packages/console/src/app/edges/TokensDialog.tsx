import { text } from "../text/Text.ts"
import { CopyButton } from "../ui/CopyButton.tsx"
import { Dialog } from "../ui/Dialog.tsx"

export interface NewToken {
  readonly name: string
  readonly token: string
}

/** Shown this once: the server keeps their hashes alone. */
export const TokensDialog = (props: {
  readonly tokens: ReadonlyArray<NewToken>
  readonly onClose: () => void
}) => (
  <Dialog title={props.tokens.length === 1 ? text.newToken : text.newTokens} onClose={props.onClose}>
    <p>{text.tokensOnce}</p>
    <ul className="tokens">
      {props.tokens.map(({ name, token }) => (
        <li key={token}>
          <strong>{name}</strong>
          <span className="command">
            <code>{token}</code>
            <CopyButton value={token} label={`${text.copy}: ${name}`} />
          </span>
        </li>
      ))}
    </ul>
    <div className="row end">
      <button type="button" onClick={props.onClose}>
        {text.close}
      </button>
    </div>
  </Dialog>
)
