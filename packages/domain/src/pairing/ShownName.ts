/**
 * A name as it is shown to whoever decides by it: what cannot be seen, and letters that look like others, are named by
 * their code points. A machine that asks to be paired gives its name itself, and could take another one's (device code
 * phishing, RFC 8628 §5.4).
 */

/** Characters that take no room of their own, or any kind of blank but the space (Unicode's properties). */
const isInvisible = (character: string): boolean =>
  /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\p{Co}\p{Cn}\u2800]/u.test(character) ||
  (character !== " " && /[\p{Zs}\p{Zl}\p{Zp}]/u.test(character))

/** Scripts that have letters which look like Latin ones, and like each other's (UTS #39 §4). */
const alike = [/\p{Script=Cyrillic}/u, /\p{Script=Greek}/u, /\p{Script=Armenian}/u, /\p{Script=Cherokee}/u]
const latin = /\p{Script=Latin}/u

/** Letters of other forms: full width, mathematical, ligatures. NFKC makes plain ones of them. */
const isForm = (character: string): boolean =>
  /\p{L}|\p{N}|\p{P}/u.test(character) && character.normalize("NFKC") !== character

const codePoint = (character: string): string =>
  `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`

/**
 * `name` with `[U+200B]` in the place of what cannot be seen, and after a letter that may be taken for another:
 * one of Cyrillic, Greek, Armenian or Cherokee beside letters or digits of Latin or another of these, or one of another
 * form. A name that is all of one script is left as it is: people write their own.
 */
export const shownName = (name: string): string => {
  const letters = Array.from(name)
  const scripts = [latin, ...alike].filter((script) => script.test(name))
  const isMixed = scripts.length > 1
  return letters
    .map((letter) => {
      if (isInvisible(letter)) return `[${codePoint(letter)}]`
      const isAlike = isMixed && alike.some((script) => script.test(letter))
      return isAlike || isForm(letter) ? `${letter}[${codePoint(letter)}]` : letter
    })
    .join("")
}
