import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import { startExample } from '../../helpers/example-process.ts'

interface Answer { status: number, body: Record<string, unknown> }

async function call (url: string, { method, body, bearer }: { method?: string, body?: unknown, bearer?: unknown } = {}): Promise<Answer> {
  const response = await fetch(url, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      ...body === undefined ? {} : { 'content-type': 'application/json' },
      ...bearer === undefined ? {} : { authorization: `Bearer ${String(bearer)}` }
    },
    ...body === undefined ? {} : { body: JSON.stringify(body) }
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? {} : JSON.parse(text) as Record<string, unknown> }
}

async function login (url: string): Promise<string> {
  const { body } = await call(`${url}/login`, { body: { username: 'ada' } })
  return String(body['access_token'])
}

/** A port that was free just now. */
async function freePort (): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

t.test('rs256: what it publishes is enough to verify what it signs', async t => {
  const { url } = await startExample(t, 'rs256')
  const token = await login(url)
  t.strictSame(await call(`${url}/protected`, { bearer: token }), { status: 200, body: { user: 'ada', key: '2026-01' } })
  const { payload, protectedHeader } = await jwtVerify(token, createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`)))
  t.match(payload, { sub: 'ada', type: 'access' })
  t.match(protectedHeader, { alg: 'RS256', kid: '2026-01' })
  t.match(await call(`${url}/protected`, { bearer: `${token.slice(0, -10)}AAAAAAAAAA` }), { status: 401, body: { code: 'FST_JWT_INVALID_SIGNATURE' } })
})

t.test('issuer-and-resource-server: keys change, and the second server only ever knew a URL', async t => {
  const issuer = `http://127.0.0.1:${await freePort()}`
  const { url } = await startExample(t, 'issuer-and-resource-server', { ISSUER_URL: issuer })
  const notes = (bearer?: string) => call(`${url}/notes`, { bearer })
  const before = await login(issuer)
  const [first] = await publishedKeys(issuer)
  t.strictSame(await notes(before), { status: 200, body: { notes: ['a note of ada'], key: first } })
  t.equal((await notes('not.a.token')).status, 401)

  await call(`${issuer}/rotate`, { method: 'POST' })
  const after = await login(issuer)
  const [second] = await publishedKeys(issuer)
  t.not(second, first)
  t.strictSame(await notes(after), { status: 200, body: { notes: ['a note of ada'], key: second } })
  t.equal((await notes(before)).status, 200, 'the old key still verifies')

  await call(`${issuer}/rotate?leaked=yes`, { method: 'POST' })
  t.equal((await notes(await login(issuer))).status, 200)
  t.match(await notes(before), { status: 401, body: { code: 'FST_JWT_INVALID_TOKEN' } })
  t.match(await notes(after), { status: 401, body: { code: 'FST_JWT_INVALID_TOKEN' } })
})

async function publishedKeys (issuer: string): Promise<string[]> {
  const { body } = await call(`${issuer}/jwks.json`)
  return (body['keys'] as Array<{ kid: string }>).map(({ kid }) => kid)
}

t.test('resource-server: a client finds the authorization server by the challenge alone, and an ID token is none', async t => {
  const [ISSUER_URL, API_URL] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`]
  const { url } = await startExample(t, 'resource-server', { ISSUER_URL, API_URL })
  t.equal(url, API_URL)
  const refused = await fetch(`${url}/notes`)
  const metadataUrl = /resource_metadata="([^"]+)"/.exec(String(refused.headers.get('www-authenticate')))?.[1]
  const metadata = await call(String(metadataUrl))
  t.strictSame(metadata.body, {
    authorization_servers: [ISSUER_URL], bearer_methods_supported: ['header'], resource: API_URL, scopes_supported: ['notes:read'], resource_name: 'Notes'
  })
  const server = await call(`${ISSUER_URL}/.well-known/oauth-authorization-server`)
  const tokens = await call(String(server.body['token_endpoint']), { method: 'POST' })
  t.strictSame(await call(`${url}/notes`, { bearer: String(tokens.body['access_token']) }), { status: 200, body: { notes: ['a note of ada'] } })
  t.match(await call(`${url}/notes`, { bearer: String(tokens.body['id_token']) }), { status: 401, body: { code: 'FST_JWT_INVALID_TOKEN', message: 'Invalid token: typ' } })
})

t.test('tenants: a token is good for one of them', async t => {
  const { url } = await startExample(t, 'tenants')
  const acme = await login(`${url}/acme`)
  const globex = await login(`${url}/globex`)
  for (let i = 0; i < 3; i++) {
    t.strictSame(await call(`${url}/acme/notes`, { bearer: acme }), { status: 200, body: { notes: ['a note of ada at acme'] } })
    t.strictSame(await call(`${url}/globex/notes`, { bearer: globex }), { status: 200, body: { notes: ['a note of ada at globex'] } })
    t.match(await call(`${url}/globex/notes`, { bearer: acme }), { status: 401, body: { code: 'FST_JWT_INVALID_SIGNATURE' } })
    t.match(await call(`${url}/acme/notes`, { bearer: globex }), { status: 401, body: { code: 'FST_JWT_INVALID_SIGNATURE' } })
    t.match(await call(`${url}/initech/notes`, { bearer: acme }), { status: 401, body: { code: 'FST_JWT_INVALID_TOKEN' } })
  }
  t.equal((await call(`${url}/initech/login`, { body: { username: 'ada' } })).status, 404)
  t.equal((await call(`${url}/acme`, { method: 'DELETE' })).status, 204)
  t.equal((await call(`${url}/acme/notes`, { bearer: acme })).status, 401)
  t.equal((await call(`${url}/globex/notes`, { bearer: globex })).status, 200)
})
