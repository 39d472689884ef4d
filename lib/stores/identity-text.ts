/**
 * An identity as a store writes it: JSON. It may be any text, and JSON has escapes for what drivers change: NUL, at which some cut a text
 * off, so that one user would be taken for another, and lone surrogates, which UTF-8 can't tell apart.
 */
export function writeIdentity (identity: string): string {
  return JSON.stringify(identity)
}

/** Reads an identity that a store has written. @throws {SyntaxError} */
export function readIdentity (text: unknown): string {
  return JSON.parse(String(text)) as string
}
