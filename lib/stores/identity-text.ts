/**
 * An identity as a store writes it: JSON. An identity may be any text, and JSON has escapes for what drivers change. Some cut a text off at
 * NUL, so that one user would become another. UTF-8 has one character for all lone surrogates.
 */
export function writeIdentity (identity: string): string {
  return JSON.stringify(identity)
}

/** Reads an identity that a store has written. @throws {Error} for any other text */
export function readIdentity (text: unknown): string {
  const identity: unknown = JSON.parse(String(text))
  if (typeof identity !== 'string') throw new TypeError('The store holds an identity that it has not written')
  return identity
}
