import type { FetchKeys } from '../../types/options.ts'

/** A limit above the size of any real JWK Set or discovery document. */
const maxBytes = 256 * 1024

async function readText (body: NonNullable<Response['body']>): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let text = ''
  let bytes = 0
  // Counted after decompression, so that neither a false Content-Length nor a decompression bomb gets past the limit.
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new RangeError(`the response has more than ${maxBytes} bytes`)
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

/**
 * Fetches a JSON object of at most 256 KiB. Redirects are refused, so that only the configured URL is ever contacted.
 *
 * @param signal Aborts the request and the reading of its body.
 * @param fetchKeys Used in place of `fetch`.
 * @throws If the connection fails, the status is not 200, or the body is too long or not a JSON object.
 */
export async function fetchJson (url: URL, signal: AbortSignal, fetchKeys: FetchKeys = fetch): Promise<Record<string, unknown>> {
  const response = await fetchKeys(url.href, {
    signal,
    redirect: 'error',
    // Fetches are minutes apart: a server might close an idle connection just when the next fetch uses it.
    headers: { accept: 'application/json, application/jwk-set+json', connection: 'close' }
  })
  return readJson(response)
}

/**
 * The JSON object of a response.
 *
 * @throws If the status is not 200, or the body is too long or not a JSON object.
 */
export async function readJson (response: Pick<Response, 'status' | 'redirected' | 'body'>): Promise<Record<string, unknown>> {
  // The app's own `fetch` may have followed a redirect.
  if (response.redirected) throw new TypeError('the response was redirected')
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel()
    throw new TypeError(`the response has status ${response.status}`)
  }
  const value: unknown = JSON.parse(await readText(response.body))
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('the response is not a JSON object')
  return value as Record<string, unknown>
}
