/** Names of the double-submit cookies and headers, as in the server options of the same names. */
export interface CsrfNames {
  /** Default: `'csrf_access_token'`. */
  accessCsrfCookieName?: string
  /** Default: `'csrf_refresh_token'`. */
  refreshCsrfCookieName?: string
  /** Default: `'X-CSRF-TOKEN'`. */
  accessCsrfHeaderName?: string
  /** Default: `'X-CSRF-TOKEN'`. */
  refreshCsrfHeaderName?: string
}

/** Options of `createFetch`. */
export interface CreateFetchOptions {
  /** URL of the refresh route. It gets a POST with cookies. */
  refresh: string | URL
  /** Origins that this client is for: requests to other origins are not changed. Default: the origin of `refresh`. */
  origins?: readonly string[]
  /**
   * Keep the access token in memory, and send it as `Authorization: Bearer`: the name of its field in the response of `refresh`, or
   * `true` for `'access_token'`. Default: `false`, the access token is in a cookie.
   */
  bearer?: boolean | string
  /** Send the CSRF token of double submit, read from its cookie; `true` for the default names. Default: `false`. */
  csrf?: boolean | CsrfNames
  /** Milliseconds after which a refresh without a response fails, so that no tab blocks the others. Default: 30000. */
  timeout?: number
  /**
   * Whether to refresh after a response. It gets a clone. Default: the status is 401, and the `code` of the JSON body is
   * `FST_JWT_EXPIRED`, `FST_JWT_MISSING_TOKEN`, `FST_JWT_REVOKED` or `FST_JWT_STALE`.
   */
  needsRefresh?: (response: Response) => boolean | Promise<boolean>
  /** Called in every tab when one has called `signedIn`. */
  onSignedIn?: () => void
  /** Called in every tab when the session has ended: a refresh was refused (401), or a tab has called `signedOut`. */
  onSignedOut?: () => void
}

/** A `fetch` that refreshes. */
export interface SessionFetch {
  /** As the `fetch` of the platform. If a refresh fails for another reason than a 401, its response is returned. */
  (input: RequestInfo | URL, init?: RequestInit): Promise<Response>
  /**
   * Refreshes now.
   *
   * @returns The response: 401 if the session has ended, 200 if another tab has refreshed meanwhile.
   */
  refresh (): Promise<Response>
  /**
   * Tells all tabs that somebody has signed in.
   *
   * @param accessToken With `bearer`, the access token from the response to the sign-in.
   */
  signedIn (accessToken?: string): void
  /** Tells all tabs that the user has signed out, and deletes the access token. */
  signedOut (): void
}

type TabEvent = 'refreshed' | 'in' | 'out'

/** Resolves a URL as `fetch` does, by the base of the document. */
const urlOf = (input: RequestInfo | URL): string => input instanceof Request ? input.url : new Request(input).url

/** The code of an error response, which stays unread; `false` for any other. */
const codeOf = async (response: Response): Promise<unknown> =>
  !response.ok && (await response.clone().json().catch(() => null))?.code

const isOver = async (response: Response): Promise<boolean> =>
  response.status === 401 && /^FST_JWT_(EXPIRED|MISSING_TOKEN|REVOKED|STALE)$/.test(await codeOf(response) as string)

function readCookie (name: string): string | undefined {
  return globalThis.document?.cookie.split('; ').find(cookie => cookie.startsWith(`${name}=`))?.slice(name.length + 1)
}

/** Waits for pending messages of other tabs. Unlike a timer, it is not slowed down in a hidden tab. */
function nextTask (): Promise<void> {
  return new Promise(resolve => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => resolve(port1.close())
    port2.postMessage(0)
  })
}

/**
 * Creates a `fetch` that refreshes access tokens. If a request is refused because its access token has expired, it refreshes once for all
 * requests of all tabs, and sends the request again: at most three times.
 *
 * @example
 * ```ts
 * import { createFetch } from 'fastify-jwt-extended/browser'
 *
 * const fetch = createFetch({ refresh: '/session/refresh', onSignedOut: () => location.assign('/') })
 * const response = await fetch('/account')
 * ```
 */
export function createFetch ({
  refresh, origins, bearer = false, csrf = false, timeout = 30_000, needsRefresh = isOver, onSignedIn, onSignedOut
}: CreateFetchOptions): SessionFetch {
  const {
    accessCsrfCookieName = 'csrf_access_token', refreshCsrfCookieName = 'csrf_refresh_token',
    accessCsrfHeaderName = 'X-CSRF-TOKEN', refreshCsrfHeaderName = 'X-CSRF-TOKEN'
  } = csrf as CsrfNames

  // A server that renders pages has no tabs, and its users must not get each other's messages.
  const tabs = globalThis.location !== undefined
  const name = tabs ? `fastify-jwt-extended ${urlOf(refresh)}` : ''
  const channel = tabs ? new BroadcastChannel(name) : null
  let lastTask: Promise<unknown> = Promise.resolve()

  let token: string | undefined
  /** Counts the refreshes of all tabs. A request from before the last refresh may be sent again. */
  let round = 0
  /** Returns the response of the last refresh, or throws its error. */
  let outcome: () => Response

  function apply (event: TabEvent, accessToken?: string): void {
    round++
    token = accessToken
    outcome = () => new Response(null, { status: event === 'out' ? 401 : 200 })
    if (event === 'in') onSignedIn?.()
    if (event === 'out') onSignedOut?.()
  }

  function tell (event: TabEvent, accessToken?: string): void {
    channel?.postMessage([event, accessToken])
    apply(event, accessToken)
  }

  if (channel) channel.onmessage = ({ data: [event, accessToken] }) => apply(event, accessToken)

  /** Runs one task at a time: in this browser, or only in this tab without Web Locks (over plain HTTP). */
  function exclusively<T> (task: () => Promise<T>): Promise<T> {
    const locks = tabs && globalThis.navigator?.locks
    if (locks) return locks.request(name, task)
    const result = lastTask.then(task)
    lastTask = result.catch(() => {})
    return result
  }

  /** Refreshes, and applies the response unless somebody has signed in or out meanwhile. */
  async function refreshNow (): Promise<void> {
    const seen = round
    let settle: () => void
    try {
      const csrfToken = csrf === false ? undefined : readCookie(refreshCsrfCookieName)
      const answer = await fetch(refresh, {
        method: 'POST',
        credentials: 'include',
        redirect: 'error',
        headers: csrfToken ? { [refreshCsrfHeaderName]: csrfToken } : {},
        signal: AbortSignal.timeout(timeout)
      })
      const body = await answer.text()
      const field = bearer === true ? 'access_token' : bearer
      let accessToken: string | undefined
      if (field && answer.ok) {
        accessToken = JSON.parse(body)[field]
        if (!accessToken) throw new TypeError(`No ${field} from ${refresh}`)
      }
      settle = () => {
        if (answer.ok) tell('refreshed', accessToken)
        else if (answer.status === 401) tell('out')
        else round++
        outcome = () => new Response(body || null, answer)
      }
    } catch (error) {
      settle = () => {
        round++
        outcome = () => { throw error }
      }
    }
    if (round === seen) settle()
  }

  /** Refreshes, unless a refresh has happened since `seen`. @returns Whether it did, and the response of the last refresh. */
  function refreshSince (seen: number): Promise<{ own: boolean, answer: Response }> {
    return exclusively(async () => {
      await nextTask()
      const own = round === seen
      if (own) {
        await refreshNow()
        // On a busy machine the next tab may get the lock before it gets the message.
        if (tabs) await new Promise(resolve => { setTimeout(resolve, 50) })
      }
      return { own, answer: outcome() }
    })
  }

  /** Sends a request with the access token and the CSRF token. A Request is cloned, so that it can be sent again. */
  function send (input: RequestInfo | URL, init: RequestInit, crossOrigin: boolean, csrfToken: string | undefined): Promise<Response> {
    const request = input instanceof Request ? input.clone() : input
    const headers = new Headers(init.headers ?? (request as Partial<Request>).headers)
    const own: RequestInit = { headers }
    if (token && !headers.has('authorization')) headers.set('authorization', `Bearer ${token}`)
    if (csrfToken && !headers.has(accessCsrfHeaderName)) {
      headers.set(accessCsrfHeaderName, csrfToken)
      // On a redirect to another origin, browsers remove `Authorization` (Fetch §4.4), but not this header.
      own.redirect = 'error'
    }
    // Cookies go to an API on another origin only if a request says so.
    if (crossOrigin && !bearer) own.credentials = init.credentials ?? 'include'
    return fetch(request, { ...init, ...own })
  }

  async function sessionFetch (input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> {
    const { origin } = new URL(urlOf(input))
    if (!(origins ?? [new URL(urlOf(refresh)).origin]).includes(origin)) return fetch(input, init)

    const method = init.method ?? (input instanceof Request ? input.method : 'GET')
    // Without access cookies, a route that accepts either token, such as signing out, needs the CSRF token of the refresh token.
    const readCsrfToken = () => csrf === false || /^(GET|HEAD|OPTIONS|TRACE)$/i.test(method)
      ? undefined
      : readCookie(accessCsrfCookieName) ?? readCookie(refreshCsrfCookieName)
    let seen = 0
    let csrfToken: string | undefined
    const attempt = () => {
      seen = round
      csrfToken = readCsrfToken()
      return send(input, init, tabs && origin !== location.origin, csrfToken)
    }

    let response = await attempt()
    for (let retries = 2; retries > 0; retries--) {
      // Another tab has refreshed after the CSRF cookie was read and before the access cookie was sent.
      const raced = csrfToken !== readCsrfToken() && await codeOf(response) === 'FST_JWT_CSRF'
      if (!raced) {
        const other = response.clone()
        const over = await needsRefresh(other)
        // An unread clone would keep all that the caller reads. A clone that was read can't be cancelled.
        other.body?.cancel().catch(() => {})
        if (!over) break
        const { own, answer } = await refreshSince(seen)
        if (answer.status === 401) break
        if (!answer.ok) return answer
        // A token that another tab got may have expired. A token that this tab got is new, so a second refusal is final.
        if (own) retries = 1
      }
      // A stream can't be sent again.
      if (init.body instanceof ReadableStream) break
      response = await attempt()
    }
    return response
  }

  return Object.assign(sessionFetch, {
    refresh: async () => (await refreshSince(round)).answer,
    signedIn: (accessToken?: string) => tell('in', accessToken),
    signedOut: () => tell('out')
  })
}
