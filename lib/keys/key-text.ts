import { badOption } from '../errors.ts'
import type { JWK } from '../types/keys.ts'

/** A key that was given as text: PEM with the line breaks of RFC 7468, or a JWK. */
export type KeyText =
  | { readonly kind: 'pem', readonly pem: string, readonly labels: readonly string[] }
  | { readonly kind: 'jwk', readonly jwk: JWK }

const block = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*(?:-(?!----END )[^-]*)*)-----END \1-----/g

/** The headers of an encrypted key in OpenSSL's old format (RFC 1421 §4.6.1.3), if they can be separated from the key. */
const oldHeaders = /^Proc-Type: ?4,ENCRYPTED\s+DEK-Info: ?([A-Z0-9-]+,[0-9A-F]+)\s+/

/** Removes white space and a pair of quotes, which shells and `.env` files leave around a value. */
function unwrap (text: string): string {
  const trimmed = text.trim()
  const quoted = /^(["'`])([^]*)\1$/.exec(trimmed)
  return quoted === null ? trimmed : (quoted[2] as string).trim()
}

/** Writes a PEM block with its line breaks in the right places. */
function toBlock (option: string, label: string, content: string): string {
  const body = content.trim()
  const headers = oldHeaders.exec(body)
  if (headers === null && body.includes(':')) {
    throw badOption(option, 'has lost the line breaks between the headers of an encrypted key; give the text of the file as it is')
  }
  const base64 = body.slice(headers?.[0].length ?? 0).replace(/\s+/g, '')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
    throw badOption(option, 'cannot be read as a key: between its `-----BEGIN …-----` and `-----END …-----` stand characters that are not base64')
  }
  const lines = [
    `-----BEGIN ${label}-----`,
    ...(headers === null ? [] : ['Proc-Type: 4,ENCRYPTED', `DEK-Info: ${headers[1]}`, '']),
    ...base64.match(/.{1,64}/g) as string[],
    `-----END ${label}-----`
  ]
  return `${lines.join('\n')}\n`
}

/** Says what a text without `-----BEGIN …-----` is, and what to give instead. */
function describeOther (text: string): string {
  if (/^LS0tLS1CRUdJTi/.test(text)) return "is PEM in base64; give Buffer.from(value, 'base64')"
  if (/-----BEGIN/.test(text)) return 'has lost the spaces in its `-----BEGIN …-----`; give the text of the file as it is'
  if (/^MI[A-Za-z0-9+/\s]+={0,2}$/.test(text)) return 'has lost its lines `-----BEGIN …-----` and `-----END …-----`; give the text of the file as it is'
  return 'is not PEM (it has no `-----BEGIN …-----`); give the text of a PEM file, not its path or its base64, or a KeyObject or JWK'
}

function readPem (option: string, text: string): KeyText {
  const begun = text.match(/-----BEGIN [A-Z0-9 ]+-----/g)?.length ?? 0
  if (begun === 0) throw badOption(option, describeOther(text))
  if (/\\[nr]/.test(text)) {
    throw badOption(option, "has `\\n` as two characters in place of its line breaks; give value.replaceAll('\\\\n', '\\n')")
  }
  const blocks = Array.from(text.matchAll(block), ([, label, content]) => ({ label: label as string, content: content as string }))
  if (blocks.length < begun) throw badOption(option, 'cannot be read as a key: a `-----BEGIN …-----` has no `-----END …-----`, so it is cut off')
  return {
    kind: 'pem',
    pem: blocks.map(({ label, content }) => toBlock(option, label, content)).join(''),
    labels: blocks.map(({ label }) => label)
  }
}

/** The JSON object or array that a text holds; `undefined` for any other text. */
export function parseJson (text: string): unknown {
  const unwrapped = unwrap(text)
  if (!/^[[{]/.test(unwrapped)) return undefined
  try {
    return JSON.parse(unwrapped)
  } catch {
    return undefined
  }
}

function readJson (option: string, text: string): KeyText {
  const value = parseJson(text)
  if (value === undefined) throw badOption(option, 'begins as JSON, but cannot be parsed; give the text of a JWK as it is')
  if (typeof value === 'object' && value !== null && 'kty' in value) return { kind: 'jwk', jwk: value as JWK }
  throw badOption(option, 'is JSON, but not a JWK, which has a `kty`; of a JWK Set, give one key')
}

/**
 * Reads a key that was given as text. Repairs what environment variables do to a text, where that is possible: quotes and white space
 * around it, indented lines, and line breaks that are lost, or have become spaces or carriage returns.
 *
 * @param option The name of the option, for the error.
 * @throws `FST_JWT_BAD_OPTION`, which says what the text is, and never shows it.
 */
export function readKeyText (option: string, text: string): KeyText {
  const unwrapped = unwrap(text)
  return /^[[{]/.test(unwrapped) ? readJson(option, unwrapped) : readPem(option, unwrapped)
}
