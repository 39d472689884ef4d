/** What a program writes in place of a token if it has no value, or a value that is not text. */
const placeholder = /^(["']?)(null|undefined|NaN|None|nil|\(null\)|\[object [A-Za-z]+\])\1$/

/** Why a text is not a token: `malformed`, or the word that a client without a token has sent. It shows nothing else of the text. */
export function whyMalformed (text: string): string {
  const word = placeholder.exec(text)?.[2]
  return word === undefined ? 'malformed' : `the word '${word}' where a token belongs`
}
