import t from 'tap'
import { createRandom } from '../../helpers/security/mutations.ts'
import { otherSecretKey, protectedApp, refusals, refused } from '../../helpers/protected-app.ts'
import { forge } from '../../helpers/forge.ts'

const locations = ['headers', 'cookies', 'queryString', 'json'] as const

/** A POST to a hook with a token in each place; a cookie has the name of the hook's type. */
function requestWith (url: string, tokens: Partial<Record<typeof locations[number], string>>, headers: Record<string, string> = {}) {
  const type = url === '/refresh' ? 'refresh' : 'access'
  return {
    method: 'POST' as const,
    url,
    headers: { ...headers, ...tokens.headers === undefined ? {} : { authorization: `Bearer ${tokens.headers}` } },
    ...tokens.cookies === undefined ? {} : { cookies: { [`${type}_token_cookie`]: tokens.cookies } },
    ...tokens.queryString === undefined ? {} : { query: { jwt: tokens.queryString } },
    payload: tokens.json === undefined ? {} : { [`${type}_token`]: tokens.json }
  }
}

t.test('a valid token of the other type is not what a hook asks for, and the next place is asked', async t => {
  for (const first of locations) {
    for (const second of locations.filter(location => location !== first)) {
      const app = await protectedApp(t, { tokenLocation: [first, second] })
      const [access, refresh] = [app.jwt.createAccessToken('ada', { fresh: true }), app.jwt.createRefreshToken('ada')]
      for (const url of ['/required', '/fresh', '/optional', '/refresh']) {
        const [wanted, other] = url === '/refresh' ? [refresh, access] : [access, refresh]
        const both = await app.inject(requestWith(url, { [first]: other, [second]: wanted }))
        t.match(both.json(), { identity: 'ada', location: second }, `${url}: ${first}, then ${second}`)
      }
      await refused(t, app, requestWith('/refresh', { [first]: access, [second]: access }), refusals.refreshRequired, 'two of the other type')
      await refused(t, app, requestWith('/required', { [first]: refresh, [second]: refresh }), refusals.accessRequired, 'two of the other type')
      await refused(t, app, requestWith('/refresh', { [first]: access }), refusals.refreshRequired, 'nothing beside it')
    }
  }
})

t.test('an expired token of the other type is passed over, too: a front end sends it as it asks for the next one', async t => {
  for (const [first, second] of [['headers', 'cookies'], ['headers', 'json'], ['cookies', 'headers'], ['queryString', 'cookies']] as const) {
    const app = await protectedApp(t, { tokenLocation: [first, second], leeway: 0 })
    const token = { refresh: app.jwt.createRefreshToken('ada'), access: app.jwt.createAccessToken('ada', { fresh: true }) }
    const expired = { refresh: app.jwt.createRefreshToken('ada', { expiresIn: -60 }), access: app.jwt.createAccessToken('ada', { expiresIn: -60 }) }
    const early = { access: forge({ sub: 'ada', exp: 4_000_000_000, nbf: 3_900_000_000 }) }
    for (const other of [expired.access, early.access]) {
      t.match((await app.inject(requestWith('/refresh', { [first]: other, [second]: token.refresh }))).json(), { identity: 'ada', location: second })
    }
    t.match((await app.inject(requestWith('/required', { [first]: expired.refresh, [second]: token.access }))).json(), { identity: 'ada', location: second })
    await refused(t, app, requestWith('/refresh', { [first]: expired.access, [second]: 'a.b.c' }), refusals.invalid, 'what is wrong with the one that was meant')
    await refused(t, app, requestWith('/refresh', { [first]: expired.access, [second]: expired.refresh }), refusals.expired, 'both expired')
    await refused(t, app, requestWith('/required', { [first]: expired.access, [second]: token.access }), refusals.expired, 'one of the right type decides')
    await refused(t, app, requestWith('/refresh', { [first]: expired.access }), refusals.expired, 'no refresh token at all')
    await refused(t, app, requestWith('/required', { [first]: expired.refresh }), refusals.expired, 'no access token at all')
  }
})

t.test('a token of the other type that is not genuine decides', async t => {
  const app = await protectedApp(t, { tokenLocation: ['headers', 'cookies'] })
  const refresh = app.jwt.createRefreshToken('ada')
  const claims = { sub: 'ada', type: 'access', exp: 4_000_000_000 }
  await refused(t, app, requestWith('/refresh', { headers: forge(claims, {}, otherSecretKey), cookies: refresh }), refusals.signature, 'another key')
  await refused(t, app, requestWith('/refresh', { headers: forge({ ...claims, exp: 1 }, {}, otherSecretKey), cookies: refresh }), refusals.signature, 'another key, expired')
  await refused(t, app, requestWith('/refresh', { headers: forge({ ...claims, aud: 'others' }), cookies: refresh }), refusals.invalid, 'another audience')
})

t.test('the place that wins decides about forgery protection', async t => {
  const app = await protectedApp(t, { tokenLocation: ['headers', 'cookies'] })
  const [access, refresh] = [app.jwt.createAccessToken('ada'), app.jwt.createRefreshToken('ada')]
  const crossSite = { 'sec-fetch-site': 'cross-site' }
  await refused(t, app, requestWith('/refresh', { headers: access, cookies: refresh }, crossSite), refusals.csrf, 'the cookie')
  t.equal((await app.inject(requestWith('/refresh', { headers: refresh, cookies: access }, crossSite))).statusCode, 200, 'the header')

  const double = await protectedApp(t, { tokenLocation: ['headers', 'cookies'], csrfProtection: 'double-submit' })
  const [first, second] = [double.jwt.createAccessToken('ada'), double.jwt.createRefreshToken('ada')]
  await refused(t, double, requestWith('/refresh', { headers: first, cookies: second }), refusals.csrf, 'no CSRF token')
  await refused(t, double, requestWith('/refresh', { headers: first, cookies: second }, { 'x-csrf-token': double.jwt.getCsrfToken(first) ?? '' }), refusals.csrf, 'the CSRF token of the other')
  t.equal((await double.inject(requestWith('/refresh', { headers: first, cookies: second }, { 'x-csrf-token': double.jwt.getCsrfToken(second) ?? '' }))).statusCode, 200)
})

t.test('what stands where a token belongs is named, if a program without a value has put it there', async t => {
  const app = await protectedApp(t, { tokenLocation: locations })
  const token = app.jwt.createAccessToken('ada')
  const words = ['null', 'undefined', 'NaN', 'None', 'nil', '(null)', '[object Object]', '[object Promise]']
  const ask = async (tokens: Parameters<typeof requestWith>[1]): Promise<unknown> => (await app.inject(requestWith('/required', tokens))).json()
  for (const word of words) {
    for (const text of [word, `"${word}"`, `'${word}'`]) {
      const message = `Invalid token: the word '${word}' where a token belongs`
      // A cookie that has been quoted is read without its quotes.
      for (const place of locations) t.match(await ask({ [place]: text }), { code: 'FST_JWT_INVALID_TOKEN', message }, `${text} in ${place}`)
      t.match(await ask({ headers: text, cookies: token }), { code: 'FST_JWT_INVALID_TOKEN', message }, `${text} beside a good cookie`)
    }
  }
  for (const nothing of ['', ' ', '  ']) t.match(await ask({ headers: nothing, cookies: token }), { statusCode: 400, message: 'No token after Bearer' })
  t.match(await ask({ headers: `Bearer ${token}` }), { statusCode: 400, message: 'Bearer appears twice before the token' })
  t.match(await ask({ headers: `${token} ${token}` }), { statusCode: 400, message: 'More than one part where one token belongs' })
  t.match((await app.inject({ method: 'POST', url: '/optional', headers: { authorization: 'Bearer null' } })).json(), { identity: null })
  t.match((await app.inject({ method: 'POST', url: '/required', headers: { authorization: '' }, cookies: { access_token_cookie: token } })).json(), { identity: 'ada' }, 'an empty header is none')
})

t.test('nothing else that a client sends is repeated in an answer', async t => {
  const app = await protectedApp(t)
  const random = createRandom(1)
  const alphabet = 'nulobject[]{}"\'()ABC.-_ 019'
  for (let i = 0; i < 500; i++) {
    const text = Array.from({ length: 8 + random(30) }, () => alphabet[random(alphabet.length)]).join('').trim()
    const { message } = (await app.inject({ url: '/required', headers: { authorization: `Bearer x${text}` } })).json<{ message: string }>()
    t.notOk(text.length > 8 && message.includes(text), text)
  }
})
