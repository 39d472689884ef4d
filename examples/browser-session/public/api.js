// Requests to this site. The browser sends the cookies by itself; nothing here can see a token.
import { createFetch } from '/client/fetch.js'

/** Tells a page when someone has signed in or out, in whichever tab of this browser: `signed-in`, `signed-out`. */
export const changes = new EventTarget()

/** A `fetch` that gets another access token when this one has run out, once for all tabs, and sends the request again. */
export const session = createFetch({
  refresh: '/session/refresh',
  onSignedIn: () => changes.dispatchEvent(new Event('signed-in')),
  onSignedOut: () => changes.dispatchEvent(new Event('signed-out'))
})

/** An answer that was not what was asked for. */
export class ApiError extends Error {
  constructor (status, { code = '', message = 'Something went wrong. Try again in a moment.' } = {}) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** The answer's body; `null` when it has none. */
export async function request (method, path, body) {
  return await read(() => session(path, body === undefined
    ? { method }
    : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }))
}

/** Gets a new access token before the old one has run out. */
export async function refresh () {
  await read(() => session.refresh())
}

async function read (send) {
  let response
  try {
    response = await send()
  } catch {
    throw new ApiError(0, { message: 'The server can’t be reached. Are you online?' })
  }
  const answer = response.headers.get('content-type')?.startsWith('application/json') ? await response.json() : null
  if (!response.ok) throw new ApiError(response.status, answer ?? undefined)
  return answer
}
