import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { bearer, otherSecretKey, passes, protectedApp, refusals, refused, secretKey } from '../../helpers/protected-app.ts'
import type { Refusal } from '../../helpers/protected-app.ts'
import { base64url, claims, forge, now, parts, sign } from '../../helpers/forge.ts'

// RFC 9110 §11.4: credentials = scheme 1*SP token68; the scheme is case-insensitive (§11.1), and white
// space around a field value is no part of it (§5.5).
t.test('ways to write the header that hold a token', async t => {
  const app = await protectedApp(t, { tokenLocation: ['headers', 'cookies'] })
  const token = app.jwt.createAccessToken('user123')
  const sound = [
    `Bearer ${token}`, `bearer ${token}`, `BEARER ${token}`, `bEaReR ${token}`,
    `Bearer  ${token}`, `Bearer     ${token}`, `Bearer ${token} `, `Bearer ${token}   `, `bearer  ${token} `
  ]
  for (const authorization of sound) {
    const name = authorization.replace(token, '<token>')
    await passes(t, app, { url: '/required', headers: { authorization } }, 'user123', `'${name}'`)
  }
})

async function sendUnsound (t: Test, app: FastifyInstance, token: string): Promise<void> {
  const table: Array<[authorization: string, refusal: Refusal]> = [
    ['Bearer', refusals.badRequest],
    ['bearer', refusals.badRequest],
    ['Bearer ', refusals.badRequest],
    ['Bearer    ', refusals.badRequest],
    ['Bearer a b', refusals.badRequest],
    [`Bearer ${token} b`, refusals.badRequest],
    [`Bearer ${token} ${token}`, refusals.badRequest],
    [`Bearer ${token}, Bearer ${token}`, refusals.badRequest],
    [`Bearer ${token}, ${token}`, refusals.badRequest],
    ['', refusals.missing],
    ['Basic dXNlcjpwYXNz', refusals.missing],
    [`Basic ${token}`, refusals.missing],
    // As long as 'Bearer '.
    [`Digest ${token}`, refusals.missing],
    [`Token ${token}`, refusals.missing],
    [token, refusals.missing],
    [`BearerX ${token}`, refusals.missing],
    [`X-Bearer ${token}`, refusals.missing],
    [`Bearer,${token}`, refusals.missing],
    ['Bearer a', refusals.invalid],
    ['Bearer undefined', refusals.invalid],
    ['Bearer null', refusals.invalid],
    [`Bearer "${token}"`, refusals.invalid],
    // No white space, so one part: a token of five segments.
    [`Bearer ${token},${token}`, refusals.invalid]
  ]
  for (const [authorization, refusal] of table) {
    const name = `'${authorization.replaceAll(token, '<token>')}'`
    await refused(t, app, { url: '/required', headers: { authorization } }, refusal, name)
    const response = await app.inject({ url: '/required', headers: { authorization } })
    for (const part of parts(token)) t.notOk(response.payload.includes(part), `${name}: no part of it in the answer`)
  }
}

t.test('however it is written, a token is remembered', async t => {
  const claims: unknown[] = []
  const app = await protectedApp(t, { verifyClaims: verified => { claims.push(verified); return true } })
  const token = app.jwt.createAccessToken('user123')
  for (const scheme of ['Bearer', 'bearer', 'BEARER ', 'Bearer', 'bearer ']) {
    await passes(t, app, { url: '/required', headers: { authorization: `${scheme} ${token}` } }, 'user123', scheme)
  }
  // One that is remembered has its claims, and is not parsed again.
  t.strictSame(claims.map(each => each === claims[0]), [true, true, true, true, true])
})

t.test('ways to write the header that do not', async t => {
  const app = await protectedApp(t)
  await sendUnsound(t, app, app.jwt.createAccessToken('user123'))
})

t.test('nor when the token was seen before', async t => {
  const app = await protectedApp(t)
  const token = app.jwt.createAccessToken('user123')
  for (const time of ['first', 'second', 'third']) await passes(t, app, { url: '/required', headers: bearer(token) }, 'user123', time)
  await sendUnsound(t, app, token)
})

t.test('another scheme beside a token cookie leaves the cookie to decide', async t => {
  const app = await protectedApp(t, { tokenLocation: ['headers', 'cookies'] })
  const cookies = { access_token_cookie: app.jwt.createAccessToken('user123') }
  const basic = { authorization: 'Basic dXNlcjpwYXNz' }
  await passes(t, app, { url: '/required', headers: basic, cookies }, 'user123', 'Basic and a cookie')
  await refused(t, app, { url: '/required', headers: basic }, refusals.missing, 'Basic alone')
  await refused(t, app, { url: '/required', headers: { authorization: 'Bearer' }, cookies }, refusals.badRequest,
    'a malformed Bearer decides, even beside a good cookie')
})

t.test('over a real socket white space around the value is gone and a second header is not joined', async t => {
  const app = await protectedApp(t)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const token = app.jwt.createAccessToken('user123')
  const status = (...lines: string[]) => new Promise<number>((resolve, reject) => {
    const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
    let answer = ''
    socket.setEncoding('utf8')
    socket.on('data', chunk => { answer += chunk })
    socket.on('error', reject)
    socket.on('close', () => resolve(Number(/^HTTP\/1.1 (\d{3})/.exec(answer)?.[1])))
    socket.write(['GET /required HTTP/1.1', 'Host: 127.0.0.1', 'Connection: close', ...lines, '', ''].join('\r\n'))
  })
  t.equal(await status(`Authorization: Bearer ${token}`), 200)
  t.equal(await status(`Authorization:   Bearer ${token}  `), 200)
  t.equal(await status(`AUTHORIZATION: bearer  ${token}`), 200)
  t.equal(await status(`Authorization: Bearer ${token}`, 'Authorization: Bearer nonsense'), 200, 'the first counts')
  t.equal(await status('Authorization: Bearer nonsense', `Authorization: Bearer ${token}`), 401, 'the first counts')
  t.equal(await status('Authorization: Bearer'), 400)
  t.equal(await status('Authorization: Bearer '), 400)
  t.equal(await status('Authorization:'), 401)
})

t.test('a token nobody should accept is refused', async t => {
  for (const algorithm of ['HS256', 'HS512'] as const) {
    const app = await protectedApp(t, { algorithm })
    const token = app.jwt.createAccessToken('user123')
    const [header, payload, signature] = parts(token)
    const none = base64url({ alg: 'none', typ: 'JWT' })
    const other = algorithm === 'HS256' ? 'HS512' : 'HS256'
    const table: Record<string, [token: string, refusal: Refusal]> = {
      'a token of 100 kB': [forge(claims({ filler: 'a'.repeat(75_000) }), {}, secretKey, algorithm), refusals.invalid],
      '100 kB of nonsense': ['a'.repeat(100_000), refusals.invalid],
      '100 kB of dots': ['.'.repeat(100_000), refusals.invalid],
      'alg none without signature': [`${none}.${payload}.`, refusals.invalid],
      'alg none with two parts': [`${none}.${payload}`, refusals.invalid],
      'alg none with the old signature': [`${none}.${payload}.${signature}`, refusals.invalid],
      'alg none, signed after all': [`${none}.${payload}.${sign(`${none}.${payload}`, secretKey, algorithm)}`, refusals.invalid],
      'alg None': [forge(claims(), { alg: 'None' }), refusals.invalid],
      'alg empty': [forge(claims(), { alg: '' }), refusals.invalid],
      'alg of no string': [forge(claims(), { alg: 1 }), refusals.invalid],
      'alg in lower case': [forge(claims(), { alg: algorithm.toLowerCase() }, secretKey, algorithm), refusals.invalid],
      'alg of the prototype': [forge(claims(), { alg: '__proto__' }), refusals.invalid],
      'no header': [`.${payload}.${signature}`, refusals.invalid],
      'no payload': [`${header}..${signature}`, refusals.invalid],
      'no signature and no dot': [`${header}.${payload}`, refusals.invalid],
      'a fourth part': [`${token}.${signature}`, refusals.invalid],
      'a fifth part': [`${token}.${signature}.${signature}`, refusals.invalid],
      'only dots': ['..', refusals.invalid],
      'a header that is not JSON': [`${base64url('header')}.${payload}.${signature}`, refusals.invalid],
      'a header that is no object': [`${base64url([])}.${payload}.${signature}`, refusals.invalid],
      'a payload that is no object, signed': [forge([], {}, secretKey, algorithm), refusals.invalid],
      'a payload that is null, signed': [forge(null, {}, secretKey, algorithm), refusals.invalid],
      'a payload that is text, signed': [forge('text', {}, secretKey, algorithm), refusals.invalid],
      'an unknown critical header': [
        forge(claims(), { crit: ['urn:example:must'], 'urn:example:must': true }, secretKey, algorithm), refusals.invalid],
      'another key': [forge(claims(), {}, otherSecretKey, algorithm), refusals.signature],
      [`${other} with the same key`]: [forge(claims(), {}, secretKey, other), refusals.invalid],
      [`${other} relabelled ${algorithm}`]: [
        `${header}.${payload}.${sign(`${header}.${payload}`, secretKey, other)}`, refusals.signature],
      'the payload of another token': [
        `${header}.${parts(app.jwt.createAccessToken('admin'))[1]}.${signature}`, refusals.signature],
      'not valid yet': [forge(claims({ nbf: now() + 600 }), {}, secretKey, algorithm), refusals.notYetValid],
      expired: [forge(claims({ exp: now() - 1 }), {}, secretKey, algorithm), refusals.expired]
    }
    for (const [name, [token, refusal]] of Object.entries(table)) {
      await refused(t, app, { url: '/required', headers: bearer(token) }, refusal, `${algorithm}: ${name}`)
      await passes(t, app, { url: '/optional', headers: bearer(token) }, null, `${algorithm}: optional, ${name}`)
    }
    // A signature that is there and empty may count as malformed or as wrong; it does not count as right.
    const stripped = await app.inject({ url: '/required', headers: bearer(`${header}.${payload}.`) })
    t.equal(stripped.statusCode, 401)
    t.match(stripped.json<{ code: string }>().code, /^FST_JWT_INVALID_(TOKEN|SIGNATURE)$/, 'an empty signature')
    await passes(t, app, { url: '/required', headers: bearer(token) }, 'user123', `${algorithm}: the token itself`)
  }
})

t.test('a bit flipped in the signature is a wrong signature, at every position', async t => {
  const app = await protectedApp(t)
  const [header, payload, signature] = parts(app.jwt.createAccessToken('user123'))
  const bytes = Buffer.from(signature, 'base64url')
  const codes = new Set<string>()
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    const response = await app.inject({
      url: '/required', headers: bearer(`${header}.${payload}.${flipped.toString('base64url')}`)
    })
    codes.add(`${response.statusCode} ${response.json<{ code: string }>().code}`)
  }
  t.strictSame([...codes], ['401 FST_JWT_INVALID_SIGNATURE'])
})

t.test('a bit flipped in header or payload is refused, at every position', async t => {
  const app = await protectedApp(t)
  const [header, payload, signature] = parts(app.jwt.createAccessToken('user123'))
  for (const [name, part, join] of [
    ['header', header, (flipped: string) => `${flipped}.${payload}.${signature}`],
    ['payload', payload, (flipped: string) => `${header}.${flipped}.${signature}`]
  ] as const) {
    const bytes = Buffer.from(part, 'base64url')
    const outcomes = new Set<string>()
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const response = await app.inject({ url: '/required', headers: bearer(join(flipped.toString('base64url'))) })
      outcomes.add(`${response.statusCode} ${response.json<{ code: string }>().code}`)
    }
    for (const outcome of outcomes) t.match(outcome, /^401 FST_JWT_INVALID_(TOKEN|SIGNATURE)$/, name)
    t.ok(outcomes.has('401 FST_JWT_INVALID_SIGNATURE'), `${name}: where it stays readable, the signature is wrong`)
  }
})

t.test('a bit flipped in the text of a token never gives a valid one, before or after the token was seen', async t => {
  const app = await protectedApp(t)
  const token = app.jwt.createAccessToken('user123')
  for (const seen of [false, true]) {
    if (seen) t.equal(app.jwt.verifyToken(token), true)
    const accepted: string[] = []
    for (let bit = 0; bit < token.length * 8; bit++) {
      const flipped = Buffer.from(token, 'latin1')
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      if (app.jwt.verifyToken(flipped.toString('latin1'))) accepted.push(`bit ${bit & 7} of character ${bit >> 3} of ${token.length}`)
    }
    t.strictSame(accepted, [])
  }
})

t.test('a token of the wrong type is refused under every location', async t => {
  const app = await protectedApp(t, { tokenLocation: ['headers', 'cookies'] })
  const access = app.jwt.createAccessToken('user123', { fresh: true })
  const refresh = app.jwt.createRefreshToken('user123')
  const table: Array<[name: string, request: object, url: string, refusal: Refusal]> = []
  for (const url of ['/required', '/fresh']) {
    table.push(
      ['a refresh token in the header', { headers: bearer(refresh) }, url, refusals.accessRequired],
      ['a refresh token in the access cookie', { cookies: { access_token_cookie: refresh } }, url, refusals.accessRequired],
      ['a refresh token in its own cookie', { cookies: { refresh_token_cookie: refresh } }, url, refusals.missing]
    )
  }
  table.push(
    ['an access token in the header', { headers: bearer(access) }, '/refresh', refusals.refreshRequired],
    ['an access token in the refresh cookie', { cookies: { refresh_token_cookie: access } }, '/refresh', refusals.refreshRequired],
    ['an access token in its own cookie', { cookies: { access_token_cookie: access } }, '/refresh', refusals.missing]
  )
  for (const [name, request, url, refusal] of table) await refused(t, app, { url, ...request }, refusal, `${name} at ${url}`)
  await passes(t, app, { url: '/required', cookies: { access_token_cookie: access } }, 'user123', 'the right cookie')
  await passes(t, app, { url: '/refresh', cookies: { refresh_token_cookie: refresh } }, 'user123', 'the right cookie')
})

t.test('another header and another scheme', async t => {
  const app = await protectedApp(t, { headerName: 'X-Api-Token', headerType: 'Token' })
  const token = app.jwt.createAccessToken('user123')
  await passes(t, app, { url: '/required', headers: { 'x-api-token': `Token ${token}` } }, 'user123', 'as set')
  await passes(t, app, { url: '/required', headers: { 'X-API-TOKEN': `token  ${token}` } }, 'user123', 'case does not matter')
  const missing = { ...refusals.missing, challenge: 'Token' }
  const badRequest = { ...refusals.badRequest, challenge: /^Token error="invalid_request", error_description="[^"\\]+"$/ }
  await refused(t, app, { url: '/required', headers: bearer(token) }, missing, 'the usual header')
  await refused(t, app, { url: '/required', headers: { 'x-api-token': `Bearer ${token}` } }, missing, 'the usual scheme')
  await refused(t, app, { url: '/required', headers: { 'x-api-token': 'Token' } }, badRequest, 'the scheme alone')
  await refused(t, app, { url: '/required', headers: { 'x-api-token': `Token ${token} x` } }, badRequest, 'two parts')
})

t.test('a scheme with signs that mean something in a pattern is taken as it is written', async t => {
  const app = await protectedApp(t, { headerType: 'A.B+' })
  const token = app.jwt.createAccessToken('user123')
  await passes(t, app, { url: '/required', headers: { authorization: `a.b+ ${token}` } }, 'user123', 'as set')
  await refused(t, app, { url: '/required', headers: { authorization: `AxBB ${token}` } }, { ...refusals.missing, challenge: 'A.B+' }, 'not a pattern')
})

t.test('an empty scheme takes the bare token', async t => {
  const app = await protectedApp(t, { headerName: 'X-Token', headerType: '' })
  const token = app.jwt.createAccessToken('user123')
  await passes(t, app, { url: '/required', headers: { 'x-token': token } }, 'user123', 'bare')
  await refused(t, app, { url: '/required', headers: {} }, refusals.missing, 'no header')
  await refused(t, app, { url: '/required', headers: { 'x-token': '' } }, refusals.missing, 'an empty header')
  await refused(t, app, { url: '/required', headers: { 'x-token': `Bearer ${token}` } }, refusals.badRequest, 'two parts')
})

t.test('a header that Node.js reads as a list is malformed where a token belongs', async t => {
  const app = await protectedApp(t, { headerName: 'Set-Cookie', headerType: '' })
  const token = app.jwt.createAccessToken('user123')
  await refused(t, app, { url: '/required', headers: { 'set-cookie': [token] } }, refusals.badRequest, 'a list')
})

t.test('maxTokenLength: a longer token is refused before any work', async t => {
  const app = await protectedApp(t)
  const short = app.jwt.createAccessToken('user123')
  const strict = await protectedApp(t, { maxTokenLength: short.length })
  await passes(t, strict, { url: '/required', headers: bearer(short) }, 'user123', 'just as long')
  const long = app.jwt.createAccessToken('user1234')
  t.throws(() => strict.jwt.createAccessToken('user1234'), { name: 'TypeError', message: /maxTokenLength/ }, 'nor is one made')
  t.ok(long.length > short.length)
  await refused(t, strict, { url: '/required', headers: bearer(long) }, refusals.invalid, 'longer')
  t.equal(strict.jwt.verifyToken(long), false)
  t.throws(() => strict.jwt.decodeToken(long), { code: 'FST_JWT_INVALID_TOKEN' })
})
