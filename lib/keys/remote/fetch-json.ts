/** More than any JWK Set or discovery document has. */
const maxBytes = 256 * 1024

async function readText (body: NonNullable<Response['body']>): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let text = ''
  let bytes = 0
  // Counted as it comes, after decompression: neither a false Content-Length nor a small zip of much helps.
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new RangeError(`the answer has more than ${maxBytes} bytes`)
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

/**
 * The JSON object at a URL. Redirects are not followed, so that only the URL itself is ever asked.
 *
 * @param signal Ends the request and the reading of its body.
 * @throws Whatever is wrong with the connection, the answer or its JSON.
 */
export async function fetchJson (url: URL, signal: AbortSignal): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    signal,
    redirect: 'error',
    // Asked once in many minutes, so a connection kept open would only be closed as the next request goes out.
    headers: { accept: 'application/json, application/jwk-set+json', connection: 'close' }
  })
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel()
    throw new TypeError(`the answer has status ${response.status}`)
  }
  const value: unknown = JSON.parse(await readText(response.body))
  if (typeof value !== 'object' || value === null) throw new TypeError('the answer is no JSON object')
  return value as Record<string, unknown>
}
