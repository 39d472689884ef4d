/** Where a phone keeps the refresh token: its keychain. */
export interface Keychain {
  read (): Promise<string | null>
  write (refreshToken: string): Promise<void>
  clear (): Promise<void>
}

interface Tokens { accessToken: string, refreshToken: string }

/** Codes of an access token that a refresh replaces. */
const refreshable = new Set(['FST_JWT_EXPIRED', 'FST_JWT_STALE', 'FST_JWT_REVOKED'])

/** The requests of a mobile app, for fetch as React Native and all platforms have it. mobile-app.ts beside it is the server. */
export class MobileClient {
  readonly #url: string
  readonly #keychain: Keychain
  /** In memory only: it is short-lived, and the refresh token brings the next one. */
  #accessToken: string | null = null
  #refreshing: Promise<boolean> | null = null

  constructor (url: string, keychain: Keychain) {
    this.#url = url
    this.#keychain = keychain
  }

  async logIn (username: string, device: string): Promise<void> {
    await this.#keep(await this.#post('/login', { username, device }))
  }

  /** @returns The response; a 401 if the user must log in again. */
  async request (path: string, init: RequestInit = {}): Promise<Response> {
    if (this.#accessToken === null && !await this.#refresh()) return new Response(null, { status: 401 })
    const token = this.#accessToken
    const response = await this.#send(path, init)
    if (response.status !== 401 || !refreshable.has((await response.clone().json() as { code: string }).code)) return response
    // Another request may have refreshed meanwhile.
    if (token === this.#accessToken && !await this.#refresh()) return response
    return await this.#send(path, init)
  }

  async logOut (): Promise<void> {
    await this.request('/logout', { method: 'POST' })
    await this.#forget()
  }

  /** Once for all requests that wait. @returns `false` if the session has ended. */
  #refresh (): Promise<boolean> {
    this.#refreshing ??= this.#rotate().finally(() => { this.#refreshing = null })
    return this.#refreshing
  }

  async #rotate (): Promise<boolean> {
    const refreshToken = await this.#keychain.read()
    if (refreshToken === null) return false
    const response = await this.#post('/refresh', { refresh_token: refreshToken })
    if (response.status === 401) {
      await this.#forget()
      return false
    }
    await this.#keep(response)
    return true
  }

  /** The new refresh token is in the keychain before anything uses the new access token: from then on the old one is no good. */
  async #keep (response: Response): Promise<void> {
    // A 503, or no answer at all, is no verdict: the tokens stay, and the next request tries again.
    if (!response.ok) throw new Error(`The server answered ${response.status}`)
    const { accessToken, refreshToken } = await response.json() as Tokens
    await this.#keychain.write(refreshToken)
    this.#accessToken = accessToken
  }

  async #forget (): Promise<void> {
    this.#accessToken = null
    await this.#keychain.clear()
  }

  #post (path: string, body: object): Promise<Response> {
    return fetch(this.#url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  }

  #send (path: string, init: RequestInit): Promise<Response> {
    return fetch(this.#url + path, { ...init, headers: { ...init.headers as Record<string, string>, authorization: `Bearer ${this.#accessToken}` } })
  }
}
