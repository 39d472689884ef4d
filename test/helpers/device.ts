import { generateKeyPairSync, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'

export type Members = Readonly<Record<string, unknown>>

function encode (value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** Signs whatever it is given, as a JWS in compact form. */
export function signJws (privateKey: KeyObject, header: Members, payload: Members): string {
  const text = `${encode(header)}.${encode(payload)}`
  const key = privateKey.asymmetricKeyType === 'ec' ? { key: privateKey, dsaEncoding: 'ieee-p1363' as const } : privateKey
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
}

/** The part of a browser that holds the key of a session. */
export class Device {
  readonly algorithm: 'ES256' | 'RS256'
  readonly keyPair: { readonly privateKey: KeyObject, readonly publicKey: KeyObject }
  readonly jwk: Members

  constructor (algorithm: 'ES256' | 'RS256' = 'ES256', bits = 2048) {
    this.keyPair = algorithm === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('rsa', { modulusLength: bits })
    this.algorithm = algorithm
    this.jwk = { ...this.keyPair.publicKey.export({ format: 'jwk' }) }
  }

  /** A proof as Chromium signs it, with other members where a test wants them; `undefined` leaves one out. */
  registration (payload: Members, header: Members = {}): string {
    return signJws(this.keyPair.privateKey, { typ: 'dbsc+jwt', alg: this.algorithm, jwk: this.jwk, ...header }, payload)
  }

  refresh (payload: Members, header: Members = {}): string {
    return signJws(this.keyPair.privateKey, { typ: 'dbsc+jwt', alg: this.algorithm, ...header }, payload)
  }
}

/** What the browser was told of a session. */
interface Instructions {
  session_identifier: string
  refresh_url: string
  credentials: ReadonlyArray<{ type: string, name: string, attributes: string }>
  [member: string]: unknown
}

/** What a server sends of its routes. */
type Inject = Pick<FastifyInstance, 'inject'>

const announcement = /^\(ES256 RS256\);path="([^"]+)";challenge="([\w-]+)";authorization="([\w-]+)"$/
const challengePattern = /^"([\w-]+)";id="([\w-]+)"$/

/**
 * A browser that binds sessions, as far as this package sees of it: cookies, without their attributes, and the key. It speaks over
 * HTTPS through a proxy, and does nothing by itself.
 */
export class SoftwareBrowser {
  /** The server that it speaks to, one of several perhaps. */
  app: Inject
  readonly device: Device
  readonly cookies = new Map<string, string>()
  registration: { path: string, challenge: string, authorization: string } | undefined
  instructions: Instructions | undefined
  challenge: string | undefined

  constructor (app: Inject, device = new Device()) {
    this.app = app
    this.device = device
  }

  /** What a thief gets who copies all of its cookies. */
  copy (): SoftwareBrowser {
    const thief = new SoftwareBrowser(this.app)
    for (const [name, value] of this.cookies) thief.cookies.set(name, value)
    return thief
  }

  /** The same browser, that loses what it is answered from now on. */
  copyWithRegistration (instructions = this.instructions): SoftwareBrowser {
    const twin = new SoftwareBrowser(this.app, this.device)
    for (const [name, value] of this.cookies) twin.cookies.set(name, value)
    twin.registration = this.registration
    twin.instructions = instructions
    return twin
  }

  async send (method: 'GET' | 'POST', url: string, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await this.app.inject({
      method,
      url,
      headers: { host: 'app.example.test', 'x-forwarded-proto': 'https', 'sec-fetch-site': 'same-origin', ...(cookie === '' ? {} : { cookie }), ...headers }
    })
    this.receive(response)
    return response
  }

  /** Keeps what a response says. */
  receive (response: LightMyRequestResponse): void {
    for (const { name, value } of response.cookies) {
      if (value === '') this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    const [, path, challenge, authorization] = announcement.exec(String(response.headers['secure-session-registration'] ?? '')) ?? []
    if (path !== undefined && challenge !== undefined && authorization !== undefined) this.registration = { path, challenge, authorization }
    const [, next] = challengePattern.exec(String(response.headers['secure-session-challenge'] ?? '')) ?? []
    if (next !== undefined) this.challenge = next
  }

  /** Registers, with the proof that a test wants, or else a good one. */
  async register (proof?: string): Promise<LightMyRequestResponse> {
    const { path, challenge, authorization } = this.registration ?? { path: '', challenge: '', authorization: '' }
    const response = await this.send('POST', path, { 'secure-session-response': proof ?? this.device.registration({ jti: challenge, authorization }) })
    if (response.statusCode === 200) this.instructions = response.json()
    return response
  }

  /** Sends a refresh: with a proof, or with none. */
  async refreshWith (proof: string | null): Promise<LightMyRequestResponse> {
    const { refresh_url: url = '', session_identifier: id = '' } = this.instructions ?? {}
    return this.send('POST', url, { 'sec-secure-session-id': id, ...(proof === null ? {} : { 'secure-session-response': proof }) })
  }

  /** Refreshes as Chromium does: with the challenge that was sent ahead, and again if it was spent. */
  async refresh (): Promise<LightMyRequestResponse> {
    const first = await this.refreshWith(this.challenge === undefined ? null : this.device.refresh({ jti: this.challenge }))
    return first.statusCode === 403 ? this.refreshWith(this.device.refresh({ jti: this.challenge })) : first
  }
}
