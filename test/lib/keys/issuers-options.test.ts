import type { IncomingMessage, ServerResponse } from 'node:http'
import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { jwtRequired } from '../../../lib/index.ts'
import type { FetchKeys, OptionsWithKeys } from '../../../lib/index.ts'
import { appWith, ecKeys, invalid, passed, secretKey, send, tokenOf, unavailable } from '../../helpers/keys/found-keys-app.ts'
import { startIssuer } from '../../helpers/keys/issuer-server.ts'
import { stoppedTime } from '../../helpers/clock.ts'

t.test('jwksMaxAge says how long a key is good that its issuer has taken out, and jwksMaxStale how long if the issuer is down', async t => {
  for (const [options, maxAge, maxStale] of [
    [{}, 600, 3600],
    [{ jwksMaxAge: 20 }, 20, 3600],
    [{ jwksMaxAge: '20s', jwksMaxStale: '1 minute' }, 20, 60],
    [{ jwksMaxAge: '2h' }, 7200, 7200]
  ] as const) {
    const clock = stoppedTime(t)
    const issuer = await startIssuer(t, ecKeys('a').jwks)
    const app = await appWith(t, { issuers: [{ issuer: 'it', jwksUri: issuer.url }], ...options })
    const token = tokenOf(ecKeys('a'), { iss: 'it', exp: Math.floor(Date.now() / 1000) + 90_000 })
    t.strictSame(await send(app, token), passed)
    clock.advance(maxAge * 0.79)
    t.strictSame(await send(app, token), passed)
    t.equal(issuer.requests.length, 1, 'not fetched yet')

    issuer.answer(ecKeys('b').jwks)
    clock.advance(maxAge * 0.215)
    t.strictSame(await send(app, token), invalid('kid'), `taken out: ${JSON.stringify(options)}`)

    issuer.answer(ecKeys('a').jwks)
    clock.advance(maxAge + 60)
    t.strictSame(await send(app, token), passed)
    issuer.answer((_request: IncomingMessage, response: ServerResponse) => response.writeHead(500).end())
    clock.advance(maxStale - 0.001)
    if (maxStale > maxAge) await send(app, token)
    t.strictSame(await send(app, token), passed, `down: ${JSON.stringify(options)}`)
    clock.advance(1.001)
    t.strictSame(await send(app, token), unavailable, `down for longer: ${JSON.stringify(options)}`)
  }
})

t.test('jwksFetch fetches discovery documents and keys in place of the fetch of Node.js, within the same limits', async t => {
  const asked: string[] = []
  const answers: Record<string, () => Promise<Pick<Response, 'status' | 'redirected' | 'body'>>> = {
    'https://login.example/.well-known/openid-configuration': async () => Response.json({ issuer: 'https://login.example', jwks_uri: 'https://keys.example/jwks' }),
    'https://keys.example/jwks': async () => Response.json(ecKeys('a').jwks)
  }
  const jwksFetch: FetchKeys = async (url, { signal, redirect, headers }) => {
    t.ok(signal instanceof AbortSignal && redirect === 'error' && headers['accept'] !== undefined)
    asked.push(url)
    return (answers[url] as () => Promise<Response>)()
  }
  const app = await appWith(t, { issuers: [{ issuer: 'https://login.example' }], jwksFetch })
  t.strictSame(await send(app, tokenOf(ecKeys('a'), { iss: 'https://login.example' })), passed)
  t.strictSame(asked, Object.keys(answers))

  for (const [what, answer] of Object.entries({
    'is redirected': async () => ({ ...Response.json(ecKeys('a').jwks), status: 200, redirected: true, body: Response.json(ecKeys('a').jwks).body }),
    'is too long': async () => new Response('x'.repeat(300_000)),
    'is no success': async () => Response.json(ecKeys('a').jwks, { status: 203 }),
    'has no body': async () => new Response(null),
    fails: async () => { throw new Error('no proxy') }
  })) {
    const app = await appWith(t, { jwksUri: 'https://keys.example/jwks', jwksFetch: answer })
    t.strictSame(await send(app, tokenOf(ecKeys('a'))), unavailable, what)
  }
})

t.test('options about keys that are fetched, and that cannot work, stop start-up', async t => {
  const issuers = [{ issuer: 'https://login.example' }]
  for (const [options, message] of [
    [{ secretKey, jwksMaxAge: 60 }, /'jwksMaxAge' has no effect, since no keys are fetched/],
    [{ secretKey, jwksMaxStale: 60 }, /'jwksMaxStale' has no effect, since no keys are fetched/],
    [{ secretKey, jwksFetch: fetch }, /'jwksFetch' has no effect, since no keys are fetched/],
    [{ issuers, jwksFetch: 'proxy' as never }, /'jwksFetch' takes a function/],
    [{ issuers, jwksMaxAge: 0 }, /'jwksMaxAge' takes seconds/],
    [{ issuers, jwksMaxAge: 600, jwksMaxStale: 599 }, /'jwksMaxStale' is shorter/],
    [{ issuers: [{ issuer: 'https://login.example/{tenant}' }] }, /'issuers\[0\]\.tenants' is missing/],
    [{ issuers: [{ issuer: 'https://login.example/{tenant}/{tenant}', tenants: ['a'] }] }, /more than one placeholder/],
    [{ issuers: [{ issuer: 'https://login.example', tenants: ['a'] }] }, /'issuers\[0\]\.tenants' does nothing/],
    [{ issuers: [{ issuer: 'https://login.example/{t}', tenants: ['a/b'] }] }, /'issuers\[0\]\.tenants\[0\]' takes a name/],
    [{ issuers: [{ issuer: 'https://login.example/{t}', tenants: 'a' as never }] }, /'issuers\[0\]\.tenants' takes an array/],
    [{ issuers: [{ issuer: 'http://login.example/{t}', tenants: ['a'] }] }, /not an https: URL/],
    [{ secretKey, issuer: 'https://login.example/a', issuers: [{ issuer: 'https://login.example/{t}', tenants: ['b'] }] }, /also matches 'issuer' or 'decodeIssuer'/]
  ] as ReadonlyArray<[OptionsWithKeys, RegExp]>) {
    await t.rejects(async () => Fastify().register(jwt, options), { code: 'FST_JWT_BAD_OPTION', message }, String(message))
  }
})

/** An issuer of tenants: each has a path of its own, and keys of its own. */
async function startTenants (t: Test) {
  const server = await startIssuer(t, null)
  server.answer(({ url = '' }: IncomingMessage, response: ServerResponse) => {
    const [, tenant = '', , rest] = /^\/([^/]*)\/(v2\.0\/)?(.*)$/.exec(url) ?? []
    response.end(JSON.stringify(rest === 'keys' ? ecKeys(tenant).jwks : { issuer: `${server.url}/${tenant}/v2.0`, jwks_uri: `${server.url}/${tenant}/keys` }))
  })
  return { ...server, token: (tenant: string, signedBy = tenant) => tokenOf(ecKeys(signedBy), { iss: `${server.url}/${tenant}/v2.0` }) }
}

t.test('an issuer with a placeholder stands for several tenants, each with its own keys', async t => {
  for (const tenants of [['acme', 'globex'], (tenant: string) => ['acme', 'globex'].includes(tenant)]) {
    for (const jwksUri of [undefined, '/{tenant}/keys']) {
      const server = await startTenants(t)
      const app = await appWith(t, { issuers: [{ issuer: `${server.url}/{tenant}/v2.0`, tenants, ...jwksUri === undefined ? {} : { jwksUri: server.url + jwksUri } }] })
      for (const tenant of ['acme', 'globex', 'acme']) t.strictSame(await send(app, server.token(tenant)), passed)
      t.strictSame(await send(app, server.token('acme', 'globex')), invalid('kid'), 'a key of another tenant')
      const asked = server.requests.length
      for (const tenant of ['evil', 'acme/../globex', '..', 'acme?x', 'acme#', '', 'a%2fb', 'a'.repeat(129), '__proto__', 'constructor', 'acme\n', '{tenant}', 'tenant']) {
        t.strictSame(await send(app, server.token(tenant, 'acme')), invalid('issuer'), JSON.stringify(tenant))
      }
      t.equal(server.requests.length, asked, 'nothing is fetched for a name that anybody can make up')
    }
  }
})

t.test('one set of keys for all tenants is fetched once, and a tenant that is not approved any more is refused at once', async t => {
  const issuer = await startIssuer(t, ecKeys('a').jwks)
  const approved = new Set(['acme', 'globex'])
  const app = await appWith(t, { issuers: [{ issuer: 'https://login.example/{tenantid}/v2.0', jwksUri: issuer.url, audience: 'api', tenants: tenant => approved.has(tenant) }] })
  const token = (tenant: string, claims = {}) => tokenOf(ecKeys('a'), { iss: `https://login.example/${tenant}/v2.0`, aud: 'api', ...claims })
  const known = token('acme')
  for (let i = 0; i < 2; i++) t.strictSame(await send(app, known), passed)
  t.strictSame(await send(app, token('globex')), passed)
  t.equal(issuer.requests.length, 1)
  t.strictSame(await send(app, token('acme', { aud: 'other' })), invalid('audience'))
  approved.delete('acme')
  t.strictSame(await send(app, known), invalid('issuer'))
  t.strictSame(await send(app, token('acme')), invalid('issuer'))
  t.strictSame(await send(app, token('globex')), passed)
})

t.test('only true approves of a tenant', async t => {
  const issuer = await startIssuer(t, ecKeys('a').jwks)
  // A promise is a mistake of the app: test/lib/refuse-promise.test.ts.
  for (const answer of [1, 'yes', {}, undefined, null]) {
    const app = await appWith(t, { issuers: [{ issuer: 'https://login.example/{t}', jwksUri: issuer.url, tenants: () => answer as never }] })
    t.strictSame(await send(app, tokenOf(ecKeys('a'), { iss: 'https://login.example/acme' })), invalid('issuer'))
  }
})

t.test('the log says which issuer and audience were expected, and the answer does not', async t => {
  const issuer = await startIssuer(t, ecKeys('a').jwks)
  for (const [options, claims, said] of [
    [{ issuers: [{ issuer: 'https://login.example', jwksUri: issuer.url }] }, { iss: 'https://login.example/' }, 'the issuer is "https://login.example/", expected "https://login.example"'],
    [{ issuers: [{ issuer: 'https://login.example', jwksUri: issuer.url }] }, {}, 'the issuer is none, expected "https://login.example"'],
    [{ jwksUri: issuer.url, decodeIssuer: ['https://a.example', 'https://b.example'] }, { iss: 'https://b.example/' }, 'the issuer is "https://b.example/", expected "https://a.example" or "https://b.example"'],
    [{ jwksUri: issuer.url, decodeAudience: 'api' }, { aud: ['api/'] }, 'the audience is ["api/"], expected "api"'],
    [{ jwksUri: issuer.url }, { aud: 'api' }, 'the audience is "api", expected none'],
    [{ issuers: [{ issuer: issuer.url }] }, { iss: issuer.url }, `the discovery document is of the issuer "${issuer.url}/", expected "${issuer.url}"`]
  ] as ReadonlyArray<[OptionsWithKeys, object, string]>) {
    const lines: string[] = []
    const app = Fastify({ logger: { level: 'info', stream: { write (line: string) { lines.push(line) } } } })
    t.teardown(() => app.close())
    await app.register(jwt, options)
    app.get('/', { preHandler: jwtRequired }, async () => ({}))
    if (said.startsWith('the discovery')) issuer.answer({ issuer: `${issuer.url}/`, jwks_uri: `${issuer.url}/keys` })
    const response = await app.inject({ url: '/', headers: { authorization: `Bearer ${tokenOf(ecKeys('a'), { ...claims })}` } })
    t.ok(response.statusCode === 401 || response.statusCode === 503)
    t.notMatch(response.body, 'expected')
    t.ok(lines.some(line => String(JSON.parse(line).err?.message ?? '').includes(said) || String(JSON.parse(line).err?.stack ?? '').includes(said)), said)
  }
})
