import t from 'tap'
import { Validator } from '@seriousme/openapi-schema-validator'
import { startExample } from '../../helpers/example-process.ts'

const { url } = await startExample(t, 'oauth2-password/server', { JWT_SECRET_KEY: 'a secret for the examples, longer than the 32 bytes it must be' })
const form = { grant_type: 'password', username: 'user123', password: 'correct horse battery staple' }

async function token (fields: Record<string, string> | [string, string][], headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/token`, { method: 'POST', body: new URLSearchParams(fields), headers })
  return { status: response.status, body: await response.json() as Record<string, unknown>, headers: response.headers }
}
async function ask (path: string, accessToken?: unknown) {
  const response = await fetch(`${url}${path}`, { headers: accessToken === undefined ? {} : { authorization: `Bearer ${String(accessToken)}` } })
  return { status: response.status, body: await response.json() as Record<string, unknown>, challenge: response.headers.get('www-authenticate') }
}

t.test('the form is answered with a token, which no cache keeps (RFC 6749 §5.1)', async t => {
  const answer = await token(form)
  t.equal(answer.status, 200)
  t.match(answer.body, { access_token: /^[\w-]+\.[\w-]+\.[\w-]+$/, token_type: 'bearer', expires_in: 1800, scope: 'me items' })
  t.equal(answer.headers.get('cache-control'), 'no-store')
  t.same((await ask('/users/me', answer.body.access_token)).body, { username: 'user123', full_name: 'The first user', scopes: ['me', 'items'] })
  t.same((await ask('/users/me/items', answer.body.access_token)).body, [{ item_id: 1, owner: 'user123' }])
})

t.test('a refusal of the form is one of RFC 6749 §5.2, and never a 5xx', async t => {
  const { username, ...noUser } = form
  const refusals: [Record<string, string> | [string, string][], string][] = [
    [{ ...form, password: 'wrong' }, 'invalid_grant'],
    [{ ...form, username: 'nobody' }, 'invalid_grant'],
    [{ ...form, username: '__proto__' }, 'invalid_grant'],
    [{ ...form, grant_type: 'client_credentials' }, 'unsupported_grant_type'],
    [{ ...form, scope: 'admin' }, 'invalid_scope'],
    [{ ...form, scope: 'me toString' }, 'invalid_scope'],
    [{ grant_type: 'password', username: 'user456', password: 'wrong donkey charger rivet', scope: 'items' }, 'invalid_scope'],
    [noUser, 'invalid_request'],
    [{}, 'invalid_request'],
    [{ ...form, password: 'x'.repeat(201) }, 'invalid_request'],
    [[...Object.entries(form), ['username', username]], 'invalid_request']
  ]
  for (const [fields, error] of refusals) {
    const answer = await token(fields)
    t.equal(answer.status, 400, error)
    t.equal(answer.body.error, error)
    t.same(Object.keys(answer.body), ['error', 'error_description'])
    t.equal(answer.headers.get('cache-control'), 'no-store')
  }
  const [wrong, unknown] = [await token({ ...form, password: 'wrong' }), await token({ ...form, username: 'nobody' })]
  t.same(wrong.body, unknown.body, 'the same answer for an unknown name and a wrong password')
  for (const [type, body] of [['application/json', JSON.stringify(form)], ['text/html', 'x'], ['application/json', '{']] as const) {
    const response = await fetch(`${url}/token`, { method: 'POST', headers: { 'content-type': type }, body })
    t.equal(response.status, 400, type)
    t.match(await response.json(), { error: 'invalid_request' })
  }
})

t.test('/users/me challenges as RFC 6750 §3 says', async t => {
  t.match(await ask('/users/me'), { status: 401, challenge: 'Bearer' })
  t.match(await ask('/users/me', 'x'), { status: 401, challenge: /error="invalid_token"/ })
  const { body } = await token({ ...form, scope: 'me me' })
  t.equal(body.scope, 'me')
  t.equal((await ask('/users/me', body.access_token)).status, 200)
  t.match(await ask('/users/me/items', body.access_token), { status: 403, challenge: 'Bearer error="insufficient_scope", error_description="Missing scope: items", scope="items"' })
})

t.test('the documentation tells Swagger UI where to get a token and what to do with it', async t => {
  const page = await fetch(`${url}/docs/`)
  t.equal(page.status, 200)
  const document = await (await fetch(`${url}/docs/json`)).json() as {
    components: { securitySchemes: Record<string, { flows: { password: { tokenUrl: string, scopes: object } } }> }
    paths: Record<string, Record<string, { security?: Record<string, string[]>[] }>>
  }
  t.ok((await new Validator().validate(structuredClone(document))).valid)
  t.equal(document.paths['/token']?.['post']?.security, undefined)
  t.same(document.paths['/users/me']?.['get']?.security, [{ oauth2: ['me'] }])
  t.same(Object.keys(document.components.securitySchemes), ['oauth2'], 'one button, which gets the token of all routes')

  // What the "Authorize" button sends: the form, with the scopes that are ticked, and the page as its origin.
  const { tokenUrl, scopes } = document.components.securitySchemes['oauth2']!.flows.password
  const response = await fetch(new URL(tokenUrl, `${url}/docs/`), {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json, text/plain, */*', 'x-requested-with': 'XMLHttpRequest', origin: url },
    body: new URLSearchParams({ ...form, scope: Object.keys(scopes).join(' ') })
  })
  const { access_token: accessToken } = await response.json() as { access_token: string }
  t.equal((await ask('/users/me', accessToken)).status, 200)
})
