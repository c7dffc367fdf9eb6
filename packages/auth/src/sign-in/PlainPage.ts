import { createHash } from "node:crypto"

/**
 * A page for people without any of the console's files: no script, nothing fetched, and a policy that allows the
 * one style that is in it. For sign-in's errors, and for the development provider.
 */
export interface PlainPage {
  readonly title: string
  /** Whose page it is, behind the title in the tab. */
  readonly owner: string
  /** HTML: what goes into it from elsewhere has to be escaped. */
  readonly body: string
}

const style = `
:root { color-scheme: light dark; --ink: #16202b; --soft: #5b6875; --line: #d5dce3; --page: #eef2f5; --card: #fff; --main: #0b5cad }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf2; --soft: #9aa8b5; --line: #33404c; --page: #12181f; --card: #1b242d; --main: #6db3f2 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { width: min(26rem, calc(100vw - 2rem)); padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: 12px }
h1 { margin: 0 0 .5rem; font-size: 1.35rem }
p { margin: 0 0 1.5rem; color: var(--soft) }
p[role=alert] { color: #c0392b }
a.action { display: inline-block; padding: .6rem 1.1rem; font-weight: 600; color: var(--card); background: var(--main); border-radius: 8px; text-decoration: none }
fieldset { border: 0; margin: 0 0 1rem; padding: 0; display: grid; gap: .5rem }
label.choice { display: flex; gap: .75rem; align-items: center; padding: .6rem .8rem; border: 1px solid var(--line); border-radius: 8px; cursor: pointer }
label.choice:has(:checked) { border-color: var(--main); outline: 1px solid var(--main) }
label.choice small { display: block; color: var(--soft) }
label.field { display: block; margin-bottom: 1rem }
input[type=password] { width: 100%; margin-top: .25rem; padding: .6rem .8rem; font: inherit; color: inherit; background: transparent; border: 1px solid var(--line); border-radius: 8px }
button { width: 100%; padding: .65rem; font: inherit; font-weight: 600; color: var(--card); background: var(--main); border: 1px solid var(--main); border-radius: 8px; cursor: pointer }
button.second { margin-top: .5rem; color: var(--main); background: transparent }
:focus-visible { outline: 3px solid var(--main); outline-offset: 2px }
`

const styleHash = createHash("sha256").update(style).digest("base64")

const entities: { readonly [character: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => entities[character] ?? "")

export const render = ({ body, owner, title }: PlainPage): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} · ${escapeHtml(owner)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${body}
</main>
</body>
</html>
`

/** `formTargets`: where a form on the page may end up, by redirects too ("'self'" and origins); none by default. */
export const headers = (formTargets: ReadonlyArray<string> = ["'none'"]) => ({
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": [
    "default-src 'none'",
    `style-src 'sha256-${styleHash}'`,
    `form-action ${formTargets.join(" ")}`,
    "frame-ancestors 'none'",
    "base-uri 'none'"
  ].join("; "),
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
})
