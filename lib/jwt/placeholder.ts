/** What a program writes if it has no value, or no text, where a token belongs. */
const placeholder = /^(["']?)(null|undefined|NaN|None|nil|\(null\)|\[object [A-Za-z]+\])\1$/

/** Why a text is no token: `malformed`, or the word that a client without a token has sent. Repeats nothing else of the text. */
export function whyMalformed (text: string): string {
  const word = placeholder.exec(text)?.[2]
  return word === undefined ? 'malformed' : `the word '${word}' where a token belongs`
}
