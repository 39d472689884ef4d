import { isUtf8 } from 'node:buffer'

/** The bytes of one part of a compact JWS; `null` unless it is canonical base64url (RFC 7515 §2, RFC 4648 §3.5). */
export function decodePart (part: string): Buffer | null {
  const bytes = Buffer.from(part, 'base64url')
  return bytes.toString('base64url') === part ? bytes : null
}

/** The JSON object in a part, in UTF-8 (RFC 7519 §7.2); `null` for anything else. */
export function parsePart (part: string): Record<string, unknown> | null {
  const bytes = decodePart(part)
  if (bytes === null || !isUtf8(bytes)) return null
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : null
  } catch {
    return null
  }
}
