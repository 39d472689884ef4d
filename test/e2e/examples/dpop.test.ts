import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import * as dpop from 'dpop'
import * as oauth from 'oauth4webapi'
import t from 'tap'
import { complaintsOf, startChromium, withoutBrowser } from '../../helpers/browser/chromium.ts'
import { plainEnvironment, startExample, withTypes } from '../../helpers/example-process.ts'

const { url } = await startExample(t, 'dpop/server', { JWT_SECRET_KEY: 'a secret for the examples, longer than the 32 bytes it must be' })
const user = { username: 'user123', password: 'correct horse battery staple' }

t.test('the client in Node logs in, asks, refreshes and asks again', async t => {
  const child = spawn(process.execPath, [...withTypes, 'examples/dpop/client.ts', url], {
    cwd: fileURLToPath(new URL('../../../', import.meta.url)), env: plainEnvironment(), stdio: ['ignore', 'pipe', 'inherit']
  })
  let output = ''
  for await (const chunk of child.stdout) output += String(chunk)
  const lines = output.trim().split('\n')
  t.equal(lines.length, 5, output)
  const [, profile] = lines
  t.match(profile, /^200 .*The first user/)
  t.strictSame(lines, ['Logged in, with tokens of type DPoP', profile, 'Refreshed', profile, 'A thief gets 401'])
})

t.test('oauth4webapi, unmodified: login, request, refresh, with the nonce challenge and retry of each', async t => {
  const insecure = { [oauth.allowInsecureRequests]: true }
  const server: oauth.AuthorizationServer = { issuer: url, token_endpoint: `${url}/token` }
  const client: oauth.Client = { client_id: 'a client' }
  const key = await oauth.generateKeyPair('ES256')
  const newHandle = (): oauth.DPoPHandle => oauth.DPoP(client, key)
  let handle = newHandle()
  let challenges = 0

  /** Once more with the nonce that the server has sent, as its documentation says. */
  async function retried<T> (step: () => Promise<T>): Promise<T> {
    try {
      return await step()
    } catch (error) {
      if (!oauth.isDPoPNonceError(error)) throw error
      challenges++
      return await step()
    }
  }
  const login = async (): Promise<oauth.TokenEndpointResponse> => {
    const response = await oauth.genericTokenEndpointRequest(server, client, oauth.None(), 'password', user, { DPoP: handle, ...insecure })
    return await oauth.processGenericTokenEndpointResponse(server, client, response)
  }
  const refresh = async (token: string): Promise<oauth.TokenEndpointResponse> => {
    const response = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), token, { DPoP: handle, ...insecure })
    return await oauth.processRefreshTokenResponse(server, client, response)
  }
  const profile = async (token: string): Promise<unknown> => {
    const response = await oauth.protectedResourceRequest(token, 'GET', new URL(`${url}/profile`), undefined, undefined, { DPoP: handle, ...insecure })
    return await response.json()
  }

  const first = await retried(login)
  t.equal(first.token_type, 'dpop')
  t.equal(challenges, 1)
  const thumbprint = await dpop.calculateThumbprint(key.publicKey)
  t.strictSame(await retried(() => profile(first.access_token)), { name: 'The first user', key: thumbprint })
  t.equal(challenges, 1, 'a nonce is kept')
  // A client that has been started again knows no nonce.
  handle = newHandle()
  t.match(await retried(() => profile(first.access_token)), { name: 'The first user' })
  t.equal(challenges, 2)
  handle = newHandle()
  const second = await retried(() => refresh(String(first.refresh_token)))
  t.equal(challenges, 3)
  t.not(second.refresh_token, first.refresh_token)
  t.strictSame(await retried(() => profile(second.access_token)), { name: 'The first user', key: thumbprint })

  handle = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
  await t.rejects(retried(() => profile(second.access_token)), { cause: [{ scheme: 'dpop', parameters: { error: 'invalid_token', error_description: 'Invalid DPoP key binding' } }] }, 'another key')
  await t.rejects(retried(() => refresh(String(second.refresh_token))), { name: 'ResponseBodyError', message: /error/ })
  const bearer = await fetch(`${url}/profile`, { headers: { authorization: `Bearer ${second.access_token}` } })
  t.equal(bearer.status, 401)
})

for (const algorithm of ['ES256', 'Ed25519', 'PS256', 'RS256'] as const) {
  t.test(`the package dpop, unmodified, with a key for ${algorithm}: login, request, refresh, nonce challenge and retry`, async t => {
    const key = await dpop.generateKeyPair(algorithm)
    let nonce: string | undefined
    const send = async (path: string, method: string, form?: Record<string, string>, token?: string): Promise<{ status: number, body: Record<string, unknown> }> => {
      const proof = await dpop.generateProof(key, `${url}${path}`, method, nonce, token)
      const response = await fetch(`${url}${path}`, {
        method, headers: { dpop: proof, ...(token === undefined ? {} : { authorization: `DPoP ${token}` }) }, ...(form === undefined ? {} : { body: new URLSearchParams(form) })
      })
      nonce = response.headers.get('dpop-nonce') ?? nonce
      return { status: response.status, body: await response.json() as Record<string, unknown> }
    }
    const login = { grant_type: 'password', ...user }
    t.match(await send('/token', 'POST', login), { status: 400, body: { error: 'use_dpop_nonce' } })
    const first = await send('/token', 'POST', login)
    t.match(first, { status: 200, body: { token_type: 'DPoP', expires_in: 300 } })
    const token = String(first.body['access_token'])
    t.strictSame(await send('/profile', 'GET', undefined, token), { status: 200, body: { name: 'The first user', key: await dpop.calculateThumbprint(key.publicKey) } })
    nonce = undefined
    t.match(await send('/profile', 'GET', undefined, token), { status: 401, body: { code: 'FST_JWT_DPOP_NONCE' } })
    t.match(await send('/profile', 'GET', undefined, token), { status: 200 })
    const second = await send('/token', 'POST', { grant_type: 'refresh_token', refresh_token: String(first.body['refresh_token']) })
    t.match(second, { status: 200, body: { token_type: 'DPoP' } })
    t.match(await send('/profile', 'GET', undefined, String(second.body['access_token'])), { status: 200 })
  })
}

t.test('the token endpoint answers every mistake with an error of OAuth', async t => {
  const key = await dpop.generateKeyPair('ES256')
  const send = async (form: string, headers: Record<string, string> = {}): Promise<[number, unknown]> => {
    const response = await fetch(`${url}/token`, { method: 'POST', body: form, headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } })
    return [response.status, (await response.json() as { error?: string }).error]
  }
  const login = String(new URLSearchParams({ grant_type: 'password', ...user }))
  t.strictSame(await send(login), [400, 'invalid_dpop_proof'])
  t.strictSame(await send(login, { dpop: 'no proof' }), [400, 'invalid_dpop_proof'])
  t.strictSame(await send(login, { dpop: await dpop.generateProof(key, `${url}/profile`, 'POST') }), [400, 'invalid_dpop_proof'])
  t.strictSame(await send('grant_type=password&username=user123&password=wrong'), [400, 'invalid_grant'])
  t.strictSame(await send('grant_type=password&username=user123&username=x'), [400, 'invalid_grant'])
  t.strictSame(await send(''), [400, 'unsupported_grant_type'])
  t.strictSame(await send('grant_type=refresh_token'), [400, 'invalid_grant'])
  t.strictSame(await send('grant_type=refresh_token&refresh_token=a&refresh_token=b'), [400, 'invalid_grant'])
})

t.test('the client in a browser: a key that cannot be exported, and a login that outlives the page', withoutBrowser, async t => {
  const browser = await startChromium(t)
  const context = await browser.newContext()
  const complaints = complaintsOf(context)
  const page = await context.newPage()
  const answers = async (text: RegExp): Promise<void> => { await page.getByRole('status').filter({ hasText: text }).waitFor() }
  await page.goto(url)
  await page.getByRole('button', { name: 'Log in' }).click()
  await answers(/^200 DPoP/)
  await page.getByRole('button', { name: 'Read the profile' }).click()
  await answers(/^200 .*The first user/)
  const before = await page.getByRole('status').textContent()
  const exported = await page.evaluate(`import('/dpop.js').then(async ({ read }) => {
    const { privateKey } = await read('key')
    return crypto.subtle.exportKey('jwk', privateKey).then(() => 'exported', error => error.name)
  })`)
  t.equal(exported, 'InvalidAccessError')
  await page.reload()
  await page.getByRole('button', { name: 'Read the profile' }).click()
  await answers(/^401/)
  await page.getByRole('button', { name: 'Refresh' }).click()
  await answers(/^200 DPoP/)
  await page.getByRole('button', { name: 'Read the profile' }).click()
  await answers(/^200 .*The first user/)
  t.equal(await page.getByRole('status').textContent(), before, 'by the same key')
  t.strictSame(complaints, [])
})
