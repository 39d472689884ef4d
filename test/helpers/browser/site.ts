import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import { startExample } from '../example-process.ts'
import { selfSignedCertificate } from '../keys/self-signed-certificate.ts'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** A request that came to the site, and its answer. */
export interface Exchange {
  method: string
  url: string
  origin: string | undefined
  fetchSite: string | undefined
  cookie: string
  status: number
  setCookie: readonly string[]
}

/** A request that no browser makes: what it says is what one likes. */
export interface HandMade {
  cookie?: string
  userAgent?: string
  body?: object
}

/** The example behind a proxy, under a name of its own, beside hosts that belong to an attacker. */
export interface Site {
  /** Of the site: `app.example.test`. */
  origin: string
  /** Of an attacker's page on another site, and on a sub-domain of the same one. */
  crossSite: string
  sameSite: string
  /** All that came to the site so far. */
  exchanges: Exchange[]
  /** What the site has printed, on both streams. */
  output (): string
  /** Holds the next `count` requests to a path until all of them are there, and lets them go at once. */
  together (path: string, count: number): void
  /** Sends a request to the site that no browser makes. */
  send (method: string, path: string, request?: HandMade): Promise<{ status: number, body: string, setCookie: readonly string[] }>
  /** Every token that a cookie has held. */
  tokens (): string[]
}

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** Key and certificate of a server whose name nobody checks. */
export const tlsOptions = {
  key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  cert: selfSignedCertificate(privateKey, publicKey)
}

/** Starts a server on a free port of this machine, and stops it when the test ends. */
async function listen (t: Test, listener: RequestListener, secure: boolean): Promise<number> {
  const server: Server = secure ? https.createServer(tlsOptions, listener) : http.createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const attackersPage = '<!doctype html><title>You have won</title><h1>You have won</h1>'

/**
 * Starts examples/browser-session, and a proxy before it.
 *
 * @param secure Whether the proxy ends TLS, as in production; else all is plain HTTP, where a browser sends no
 *   `Sec-Fetch-Site`.
 */
export async function startSite (t: Test, secure: boolean, env: Record<string, string> = {}): Promise<Site> {
  const example = await startExample(t, 'browser-session/server', {
    LOG_LEVEL: 'trace', ATTEMPTS_PER_MINUTE: '1000', ...(secure ? { TRUST_PROXY: '127.0.0.1' } : {}), ...env
  })
  const target = new URL(example.url)
  const exchanges: Exchange[] = []
  let barrier = { path: '', missing: 0, release: () => {}, released: Promise.resolve() }

  async function forward (request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === barrier.path && barrier.missing > 0) {
      if (--barrier.missing === 0) barrier.release()
      await barrier.released
    }
    const forwarded = secure ? { 'x-forwarded-proto': 'https', 'x-forwarded-host': request.headers.host, 'x-forwarded-for': '203.0.113.7' } : {}
    const upstream = http.request({
      host: target.hostname,
      port: target.port,
      method: request.method,
      path: request.url,
      // A proxy names the host it forwards to, and passes on what it was called itself.
      headers: { ...request.headers, ...(secure ? { host: target.host } : {}), ...forwarded }
    }, answer => {
      exchanges.push({
        method: request.method ?? '',
        url: request.url ?? '',
        origin: request.headers.origin,
        fetchSite: request.headers['sec-fetch-site'] as string | undefined,
        cookie: request.headers.cookie ?? '',
        status: answer.statusCode ?? 0,
        setCookie: answer.headers['set-cookie'] ?? []
      })
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    upstream.on('error', () => { response.destroy() })
    request.pipe(upstream)
  }

  const port = await listen(t, (request, response) => {
    const host = (request.headers.host ?? '').split(':')[0]
    if (host === 'app.example.test') forward(request, response).catch(() => { response.destroy() })
    else response.setHeader('content-type', 'text/html').end(attackersPage)
  }, secure)

  const originOf = (host: string) => `${secure ? 'https' : 'http'}://${host}:${port}`
  return {
    origin: originOf('app.example.test'),
    crossSite: originOf('evil.test'),
    sameSite: originOf('evil.example.test'),
    exchanges,
    output: example.output,
    together (path, count) {
      let release = () => {}
      const released = new Promise<void>(resolve => { release = resolve })
      barrier = { path, missing: count, release, released }
    },
    send (method, path, { cookie, userAgent, body } = {}) {
      return new Promise((resolve, reject) => {
        const headers = {
          host: `app.example.test:${port}`,
          ...(cookie === undefined ? {} : { cookie }),
          ...(userAgent === undefined ? {} : { 'user-agent': userAgent }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' })
        }
        const options = { host: '127.0.0.1', port, method, path, headers, agent: false as const, rejectUnauthorized: false }
        const request = (secure ? https : http).request(options, response => {
          let text = ''
          response.setEncoding('utf8').on('data', chunk => { text += chunk })
          response.on('end', () => { resolve({ status: response.statusCode ?? 0, body: text, setCookie: response.headers['set-cookie'] ?? [] }) })
        })
        request.on('error', reject)
        request.end(body === undefined ? undefined : JSON.stringify(body))
      })
    },
    tokens () {
      const values = exchanges.flatMap(({ setCookie }) => setCookie.map(cookie => /^[^=]+=([^;]*)/.exec(cookie)?.[1] ?? ''))
      return [...new Set(values)].filter(value => value !== '')
    }
  }
}
