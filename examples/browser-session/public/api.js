// Requests to this site. The browser sends the cookies by itself; nothing here can see a token.

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
  let response = await send(method, path, body)
  let answer = await read(response)
  // The access token has run out, and its cookie with it: once, get another by the refresh token, and try again.
  if (response.status === 401 && isOver(answer) && await refresh()) {
    response = await send(method, path, body)
    answer = await read(response)
  }
  if (!response.ok) throw new ApiError(response.status, answer ?? undefined)
  return answer
}

/** Whether the browser was given a new access token. */
export async function refresh () {
  // Requests of this page that find out together share one refresh. Other tabs ask for their own: within the reuse
  // interval all of them get the same successor, so none is signed out for having been slower.
  refreshing ??= send('POST', '/session/refresh').finally(() => { refreshing = undefined })
  const { ok, status } = await refreshing
  if (!ok && status !== 401) throw new ApiError(status)
  return ok
}
let refreshing

const isOver = answer => answer?.code === 'FST_JWT_MISSING_TOKEN' || answer?.code === 'FST_JWT_EXPIRED'

async function send (method, path, body) {
  try {
    return await fetch(path, body === undefined
      ? { method }
      : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  } catch {
    throw new ApiError(0, { message: 'The server can’t be reached. Are you online?' })
  }
}

async function read (response) {
  return response.headers.get('content-type')?.startsWith('application/json') ? await response.json() : null
}
