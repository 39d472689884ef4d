import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import type { FastifyServerOptions } from 'fastify'
import type { JwtExtendedOptions } from '../../../lib/index.ts'
import { hmac, signed } from '../../helpers/security/configurations.ts'
import { badRequest, csrf, everyLocation, expired, faultOf, invalid, missing, passes, recordingApp, wrongSignature } from '../../helpers/security/recording-app.ts'
import { RawClient } from '../../helpers/security/raw-client.ts'
import type { Verdict } from '../../helpers/security/recording-app.ts'

const good = signed(hmac)
const other = signed(hmac, { sub: 'attacker' })
const bad = `${good.slice(0, -4)}AAAA`
const late = signed(hmac, { exp: 1 })

/** A status that Node.js or Fastify answers before any route is reached. */
type Expected = Verdict | { readonly status: number }

interface HostileRequest {
  readonly name: string
  readonly lines: readonly string[]
  readonly expected: Expected
  readonly target?: string
  readonly body?: string
}

/** Sends each request over a socket of its own making, byte for byte. */
async function judge (t: Test, options: JwtExtendedOptions, table: readonly HostileRequest[], server?: FastifyServerOptions): Promise<void> {
  const { app, leaked } = await recordingApp(t, { ...hmac.options, ...options }, server)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const client = new RawClient((app.server.address() as AddressInfo).port)
  t.teardown(() => { client.close() })
  for (const { name, lines, expected, target = 'GET /required', body = '' } of table) {
    const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]
    const head = [`${target} HTTP/1.1`, ...(lines.some(line => /^host:/i.test(line)) ? [] : ['Host: app.example']), ...length, ...lines, '', body]
    const answer = await client.send(head.join('\r\n'))
    if (answer === null) {
      t.fail(`${name}: no answer`)
    } else if ('status' in expected) {
      t.equal(answer.statusCode, expected.status, name)
    } else {
      t.equal(faultOf(answer, expected), undefined, name)
    }
    if (answer !== null) t.equal(leaked(answer, [good, other, bad, late]), undefined, `${name}: no token in log or answer`)
  }
}

/** Node 20 drops those that are too many; later versions refuse the request. */
const tooManyHeaders = Number(process.versions.node.split('.')[0]) < 22 ? missing : { status: 431 }

t.test('headers', async t => {
  const bearer = (value: string) => [`Authorization: ${value}`]
  await judge(t, {}, [
    { name: 'a sound one', lines: bearer(`Bearer ${good}`), expected: passes },
    // Node.js keeps the first of two Authorization headers; a proxy in front must not look at another one.
    { name: 'two, the first good', lines: [...bearer(`Bearer ${good}`), ...bearer(`Bearer ${bad}`)], expected: passes },
    { name: 'two, the first bad', lines: [...bearer(`Bearer ${bad}`), ...bearer(`Bearer ${good}`)], expected: wrongSignature },
    { name: 'two, the first of another scheme', lines: [...bearer('Basic eDp5'), ...bearer(`Bearer ${good}`)], expected: missing },
    { name: 'two, in different case', lines: [`AUTHORIZATION: Bearer ${other}`, `authorization: Bearer ${good}`], expected: { passes: 'attacker' } },
    { name: 'a comma list', lines: bearer(`Bearer ${good}, Bearer ${good}`), expected: badRequest },
    { name: 'a comma list with another scheme', lines: bearer(`Basic eDp5, Bearer ${good}`), expected: missing },
    { name: 'a comma without white space', lines: bearer(`Bearer ${good},${good}`), expected: invalid('malformed') },
    { name: 'parameters after the token', lines: bearer(`Bearer ${good}; charset=utf-8`), expected: badRequest },
    { name: 'the token as a parameter', lines: bearer(`Bearer token="${good}"`), expected: invalid('malformed') },
    { name: 'a tab after the scheme', lines: bearer(`Bearer\t${good}`), expected: missing },
    { name: 'a tab inside', lines: bearer(`Bearer ${good}\tx`), expected: wrongSignature },
    { name: 'a folded line (RFC 9112 §5.2)', lines: ['Authorization: Bearer', ` ${good}`], expected: { status: 400 } },
    { name: 'a space before the colon', lines: [`Authorization : Bearer ${good}`], expected: { status: 400 } },
    { name: 'NUL', lines: bearer(`Bearer ${good}\0`), expected: { status: 400 } },
    { name: 'a bare CR', lines: bearer(`Bearer ${good}\rX: y`), expected: { status: 400 } },
    { name: 'a bare LF', lines: bearer(`Bearer ${good}\nX-Injected: y`), expected: { status: 400 } },
    { name: 'a control character', lines: bearer(`Bearer \x01${good}`), expected: { status: 400 } },
    { name: 'DEL', lines: bearer(`Bearer ${good}\x7f`), expected: { status: 400 } },
    { name: 'Latin-1', lines: bearer(`Bearer ${good}\xe9`), expected: wrongSignature },
    { name: 'a no-break space around', lines: bearer(`Bearer \xa0${good}\xa0`), expected: invalid('malformed') },
    { name: 'a no-break space around, another case', lines: bearer(`bearer \xa0${good}`), expected: invalid('malformed') },
    { name: 'UTF-8', lines: bearer(Buffer.from(`Bearer é${good}`).toString('latin1')), expected: invalid('malformed') },
    { name: '15 kB of spaces', lines: bearer(`Bearer ${' '.repeat(7000)}${good}${' '.repeat(7000)}`), expected: passes },
    { name: '15 kB of spaces between', lines: bearer(`Bearer a${' '.repeat(15_000)}b`), expected: badRequest },
    { name: '15 kB of token', lines: bearer(`Bearer ${'a'.repeat(15_000)}`), expected: invalid('length') },
    { name: '100 kB', lines: bearer(`Bearer ${'a'.repeat(100_000)}`), expected: { status: 431 } },
    { name: 'behind more headers than the 1,000 that Node.js keeps', lines: [...Array.from({ length: 1500 }, (_, i) => `X${i}: 1`), ...bearer(`Bearer ${good}`)], expected: tooManyHeaders },
    { name: 'the token in another header', lines: [`X-Authorization: Bearer ${good}`, `Proxy-Authorization: Bearer ${good}`], expected: missing },
    { name: 'a header named __proto__', lines: [`__proto__: Bearer ${good}`, 'constructor: x'], expected: missing },
    { name: 'Content-Length and Transfer-Encoding together', target: 'POST /required', lines: ['Transfer-Encoding: chunked', 'Content-Length: 3', ...bearer(`Bearer ${good}`)], expected: { status: 400 } }
  ])
})

t.test('a header of its own name that comes twice is joined, and is no token', async t => {
  await judge(t, { headerName: 'X-Token', headerType: '' }, [
    { name: 'once', lines: [`X-Token: ${good}`], expected: passes },
    { name: 'twice', lines: [`X-Token: ${good}`, `X-Token: ${good}`], expected: badRequest },
    { name: 'empty', lines: ['X-Token:'], expected: missing },
    { name: 'a scheme', lines: [`X-Token: Bearer ${good}`], expected: badRequest }
  ])
})

t.test('cookies', async t => {
  const cookie = (value: string) => [`Cookie: ${value}`]
  await judge(t, { tokenLocation: 'cookies' }, [
    { name: 'a sound one', lines: cookie(`access_token_cookie=${good}`), expected: passes },
    // Cookie tossing: a page of a sub-domain sets the same name, with a longer path. Browsers send the longer path first, and
    // the first counts, as everywhere. What is tossed must itself be valid; the remedy is a name with __Host-, below.
    { name: 'two, the first good', lines: cookie(`access_token_cookie=${good}; access_token_cookie=${other}`), expected: passes },
    { name: 'two, the first tossed by a sub-domain', lines: cookie(`access_token_cookie=${other}; access_token_cookie=${good}`), expected: { passes: 'attacker' } },
    { name: 'two, the first bad', lines: cookie(`access_token_cookie=${bad}; access_token_cookie=${good}`), expected: passes },
    { name: 'two, both bad', lines: cookie(`access_token_cookie=${bad}; access_token_cookie=x${bad}`), expected: wrongSignature },
    { name: 'two, the first empty', lines: cookie(`access_token_cookie=; access_token_cookie=${good}`), expected: passes },
    { name: 'two Cookie headers', lines: [...cookie(`access_token_cookie=${good}`), ...cookie(`access_token_cookie=${other}`)], expected: passes },
    { name: 'in quotes', lines: cookie(`access_token_cookie="${good}"`), expected: invalid('malformed') },
    { name: 'percent-encoded, which is the same value', lines: cookie(`access_token_cookie=%65${good.slice(1)}`), expected: passes },
    { name: 'percent-encoded twice', lines: cookie(`access_token_cookie=%2565${good.slice(1)}`), expected: invalid('malformed') },
    { name: 'a broken escape', lines: cookie(`access_token_cookie=%${good}`), expected: invalid('malformed') },
    { name: 'the name percent-encoded', lines: cookie(`access%5Ftoken_cookie=${good}`), expected: missing },
    { name: 'the name in another case', lines: cookie(`Access_Token_Cookie=${good}`), expected: missing },
    { name: 'white space in and around the name', lines: cookie(` access_token_cookie = ${good} `), expected: passes },
    { name: 'a comma list', lines: cookie(`a=b, access_token_cookie=${good}`), expected: missing },
    { name: 'a nameless cookie that looks like one', lines: cookie(`=access_token_cookie=${good}`), expected: missing },
    { name: 'a cookie without a value', lines: cookie('access_token_cookie'), expected: missing },
    { name: 'RFC 2109 attributes', lines: cookie(`$Version=1; access_token_cookie=${good}; $Path=/`), expected: passes },
    { name: '__proto__', lines: cookie(`__proto__=x; constructor=y; toString=z; access_token_cookie=${good}`), expected: passes },
    { name: 'only semicolons', lines: cookie(';'.repeat(10_000)), expected: missing },
    { name: '2,000 cookies', lines: cookie(`${'a=b;'.repeat(2000)}access_token_cookie=${good}`), expected: passes },
    { name: 'a refresh token', lines: cookie(`access_token_cookie=${signed(hmac, { type: 'refresh' })}`), expected: { code: 'FST_JWT_ACCESS_REQUIRED' } },
    { name: 'the refresh cookie alone', lines: cookie(`refresh_token_cookie=${good}`), expected: missing },
    { name: 'Latin-1', lines: cookie(`access_token_cookie=${good}\xe9`), expected: wrongSignature },
    { name: 'NUL', lines: cookie(`access_token_cookie=${good}\0`), expected: { status: 400 } },
    { name: '100 kB', lines: cookie(`access_token_cookie=${'a'.repeat(100_000)}`), expected: { status: 431 } },
    { name: 'expired', lines: cookie(`access_token_cookie=${late}`), expected: expired },
    { name: 'Set-Cookie from a client', lines: [`Set-Cookie: access_token_cookie=${good}`], expected: missing },
    { name: 'a header beside, which is no location', lines: [`Authorization: Bearer ${good}`], expected: missing }
  ])
  await judge(t, { tokenLocation: 'cookies', accessCookieName: '__Host-access', refreshCookieName: '__Host-refresh', cookieSecure: true }, [
    { name: 'a name no sub-domain can set', lines: cookie(`__Host-access=${good}`), expected: passes },
    { name: 'the name without its prefix', lines: cookie(`access=${other}; __Host-access=${good}`), expected: passes },
    { name: 'the prefix in another case (browsers that know it only in this one let anybody set the other)', lines: cookie(`__host-access=${other}; __Host-access=${good}`), expected: passes },
    { name: 'only in another case', lines: cookie(`__HOST-access=${other}`), expected: missing }
  ])
})

t.test('query and body', async t => {
  const post = { target: 'POST /required', lines: ['Content-Type: application/json'] }
  await judge(t, { tokenLocation: ['queryString', 'json'] }, [
    { name: 'a sound one', target: `GET /required?jwt=${good}`, lines: [], expected: passes },
    { name: 'an escaped name', target: `GET /required?%6a%77%74=${good}`, lines: [], expected: passes },
    { name: 'twice', target: `GET /required?jwt=${good}&jwt=${good}`, lines: [], expected: badRequest },
    { name: 'as a list', target: `GET /required?jwt[]=${good}`, lines: [], expected: missing },
    { name: 'with a broken escape', target: `GET /required?jwt=%${good}`, lines: [], expected: invalid('malformed') },
    { name: 'with a fragment, which no client sends', target: `GET /required?jwt=${good}#x`, lines: [], expected: wrongSignature },
    { name: 'an absolute target', target: `GET http://app.example/required?jwt=${good}`, lines: [], expected: passes },
    { name: 'a route that is not there', target: `GET /nowhere?jwt=${good}`, lines: [], expected: { status: 404 } },
    { name: 'a route that is not there, and a semicolon', target: `GET /nowhere;jwt=${good}`, lines: [], expected: { status: 404 } },
    { name: '__proto__', target: 'GET /required?__proto__=x&__proto__[jwt]=x', lines: [], expected: missing },
    { name: 'a body', ...post, body: JSON.stringify({ access_token: good }), expected: passes },
    { name: 'a body of a list', ...post, body: JSON.stringify([good]), expected: missing },
    { name: 'a body that is a token', ...post, body: JSON.stringify(good), expected: missing },
    ...[0, 1, true, false, [], [good], {}, { toString: good }].map(value => (
      { name: `a body with ${JSON.stringify(value).slice(0, 20)}`, ...post, body: JSON.stringify({ access_token: value }), expected: badRequest })),
    { name: 'a body with null', ...post, body: '{"access_token":null}', expected: missing },
    { name: 'the field twice, the last counts', ...post, body: `{"access_token":"${bad}","access_token":"${good}"}`, expected: passes },
    { name: 'a prototype', ...post, body: `{"__proto__":{"access_token":"${good}"}}`, expected: { status: 400 } },
    { name: 'a constructor', ...post, body: `{"constructor":{"prototype":{"access_token":"${good}"}}}`, expected: { status: 400 } },
    { name: 'JSON cut short', ...post, body: `{"access_token":"${good}`, expected: { status: 400 } },
    { name: 'an unquoted token', ...post, body: `{"access_token":${good}}`, expected: { status: 400 } },
    { name: 'a form', target: 'POST /required', lines: ['Content-Type: application/x-www-form-urlencoded'], body: `access_token=${good}`, expected: missing },
    { name: 'a type nobody parses', target: 'POST /required', lines: ['Content-Type: application/token'], body: good, expected: { status: 415 } },
    { name: 'a body of another charset', target: 'POST /required', lines: ['Content-Type: application/json; charset=utf-16'], body: JSON.stringify({ access_token: good }), expected: passes }
  ])
})

t.test('CSRF by fetch metadata: what browsers, and what only others send', async t => {
  const cookie = `Cookie: access_token_cookie=${good}`
  const attempt = (name: string, lines: string[], expected: Verdict, target = 'POST /required'): HostileRequest => ({ name, target, lines: [cookie, ...lines], expected })
  const cross = 'Sec-Fetch-Site: cross-site'
  await judge(t, { tokenLocation: ['headers', 'cookies'], trustedOrigins: ['https://trusted.example'] }, [
    attempt('no browser', [], passes),
    attempt('same-origin', ['Sec-Fetch-Site: same-origin'], passes),
    ...['cross-site', 'same-site', 'Same-Origin', 'SAME-ORIGIN', 'NONE', 'same-origin, cross-site', 'cross-site, same-origin', '"same-origin"', 'same-origin;', '', 'null', 'undefined', '*'].map(value =>
      attempt(`Sec-Fetch-Site: ${value}`, [`Sec-Fetch-Site: ${value}`], csrf)),
    attempt('Sec-Fetch-Site twice', ['Sec-Fetch-Site: same-origin', cross], csrf),
    attempt('Sec-Fetch-Site twice, the other way', [cross, 'Sec-Fetch-Site: same-origin'], csrf),
    attempt('a folded value in two headers of the same', ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: same-origin'], csrf),
    ...['null', 'http://app.example/', 'http://app.example/path', 'http://app.example?', 'http://app.example#', 'http://user@app.example', 'http://user:password@app.example', 'http://app.example@evil.example', 'HTTP://APP.EXAMPLE', 'http://APP.example',
      'http://app.example, http://evil.example', 'http://evil.example, http://app.example', 'http://app.example http://evil.example', 'http://app.example.', 'http://app.example.evil.example', 'http://evilapp.example', 'http://sub.app.example',
      'http://app.example:80', 'http://app.example:8080', 'https://app.example:443', 'app.example', '//app.example', 'javascript:app.example', 'data:,app.example', 'file://app.example', 'blob:http://app.example/1', 'chrome-extension://app.example',
      'http:app.example', 'http:/app.example', 'http:\\\\app.example', 'http://app.example\\@evil.example', 'http://xn--app-example', 'http://app%2eexample', 'http://[::1]', 'http://2130706433', ' ', '*', 'about:blank'].map(origin =>
      attempt(`Origin: ${origin}`, [`Origin: ${origin}`], csrf)),
    attempt('Origin: empty', ['Origin:'], csrf),
    attempt('Origin of the host', ['Origin: http://app.example'], passes),
    attempt('Origin of the host, TLS ending before us', ['Origin: https://app.example'], passes),
    attempt('Origin twice', ['Origin: http://app.example', 'Origin: http://evil.example'], csrf),
    attempt('Origin twice, the other way', ['Origin: http://evil.example', 'Origin: http://app.example'], csrf),
    attempt('a trusted origin', ['Origin: https://trusted.example', cross], passes),
    ...['http://trusted.example', 'https://trusted.example/', 'https://trusted.example:443', 'HTTPS://trusted.example', 'https://trusted.example.', 'https://sub.trusted.example', 'https://trusted.example https://evil.example'].map(origin =>
      attempt(`not quite a trusted origin: ${origin}`, [`Origin: ${origin}`, cross], csrf)),
    attempt('Host with a port that is the default', ['Host: app.example:80', 'Origin: http://app.example'], passes),
    attempt('Host with another port', ['Host: app.example:81', 'Origin: http://app.example'], csrf),
    attempt('an IDN host, in punycode', ['Host: xn--bcher-kva.example', 'Origin: http://xn--bcher-kva.example'], passes),
    attempt('an IDN host, not in punycode', ['Host: xn--bcher-kva.example', `Origin: http://${Buffer.from('bücher').toString('latin1')}.example`], csrf),
    attempt('Host of user information', ['Host: app.example@evil.example', 'Origin: http://app.example'], csrf),
    attempt('Host with a path', ['Host: evil.example/app.example', 'Origin: http://app.example'], csrf),
    attempt('Host of nonsense', ['Host: ]', 'Origin: http://app.example'], csrf),
    attempt('X-Forwarded-Host from nobody trusted', ['X-Forwarded-Host: evil.example', 'Origin: http://evil.example'], csrf),
    attempt('Forwarded from nobody trusted', ['Forwarded: host=evil.example', 'Origin: http://evil.example'], csrf),
    attempt('Referer is not asked', ['Referer: http://evil.example/'], passes),
    ...['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'].flatMap(name => [
      attempt(`${name} makes no GET of a POST`, [`${name}: GET`, cross], csrf),
      // A GET stays one here; an app that turns it into something else does so after the check, at its own risk.
      attempt(`${name} makes no DELETE of a GET`, [`${name}: DELETE`, cross], passes, 'GET /required')
    ]),
    attempt('_method in the query', [cross], csrf, 'POST /required?_method=GET'),
    ...['PUT', 'PATCH', 'DELETE'].map(method => attempt(method, [cross], csrf, `${method} /required`)),
    attempt('GET', [cross], passes, 'GET /required'),
    attempt('a WebSocket upgrade is no harmless GET', ['Upgrade: websocket', 'Connection: Upgrade', 'Origin: http://evil.example'], csrf, 'GET /required'),
    attempt('a WebSocket upgrade in another case', ['Upgrade: WebSocket', 'Connection: keep-alive, Upgrade', 'Origin: http://evil.example'], csrf, 'GET /required'),
    attempt('a WebSocket upgrade from a sandboxed frame', ['Upgrade: websocket', 'Connection: Upgrade', 'Origin: null'], csrf, 'GET /required'),
    attempt('a WebSocket upgrade from the own origin', ['Upgrade: websocket', 'Connection: Upgrade', 'Origin: http://app.example'], passes, 'GET /required'),
    attempt('a bad header decides, beside a good cookie', [`Authorization: Bearer ${bad}`, cross], wrongSignature),
    attempt('a good header needs no CSRF check', [`Authorization: Bearer ${other}`, cross], { passes: 'attacker' }),
    attempt('another scheme does not switch the check off', ['Authorization: Basic eDp5', cross], csrf),
    attempt('an optional route does not act as the user', [cross], { passes: null }, 'POST /optional'),
    attempt('a strict one refuses', [cross], csrf, 'POST /strict'),
    attempt('login CSRF', [cross], csrf, 'POST /login'),
    attempt('login from the own page', ['Sec-Fetch-Site: same-origin'], { passes: null }, 'POST /login')
  ])
})

t.test('CSRF by double submit', async t => {
  const token = signed(hmac, { csrf: 'the-right-csrf-token' })
  const bare = signed(hmac)
  const empty = signed(hmac, { csrf: '' })
  const form = 'Content-Type: application/x-www-form-urlencoded'
  const attempt = (name: string, lines: string[], expected: Verdict, body = '', value = token): HostileRequest =>
    ({ name, target: 'POST /required', lines: [`Cookie: access_token_cookie=${value}; csrf_access_token=the-right-csrf-token`, ...lines], body, expected })
  await judge(t, { tokenLocation: 'cookies', csrfProtection: 'double-submit', csrfCheckForm: true }, [
    attempt('the right one', ['X-CSRF-TOKEN: the-right-csrf-token'], passes),
    attempt('none, though the cookie came', [], csrf),
    ...['', ' ', 'the-wrong-csrf-token', 'the-right-csrf-toke', 'the-right-csrf-token1', 'THE-RIGHT-CSRF-TOKEN', 'undefined', 'null', '[object Object]', 'the-right-csrf-token, x', token].map(value =>
      attempt(`X-CSRF-TOKEN: ${value.slice(0, 25)}`, [`X-CSRF-TOKEN: ${value}`], csrf)),
    attempt('twice', ['X-CSRF-TOKEN: the-right-csrf-token', 'X-CSRF-TOKEN: the-right-csrf-token'], csrf),
    attempt('Latin-1', ['X-CSRF-TOKEN: the-right-csrf-token\xe9'], csrf),
    attempt('a form', [form], passes, 'csrf_token=the-right-csrf-token'),
    attempt('a form with a wrong one', [form], csrf, 'csrf_token=wrong'),
    attempt('a wrong header is not made good by the form', [form, 'X-CSRF-TOKEN: wrong'], csrf, 'csrf_token=the-right-csrf-token'),
    attempt('JSON with a list', ['Content-Type: application/json'], csrf, '{"csrf_token":["the-right-csrf-token"]}'),
    attempt('a token without one, and none sent', [], csrf, '', bare),
    attempt('a token without one, and some sent', ['X-CSRF-TOKEN: the-right-csrf-token'], csrf, '', bare),
    attempt('a token with an empty one, and an empty one sent', ['X-CSRF-TOKEN:'], csrf, '', empty)
  ])
})

t.test('every location at once: one place decides, and it is the first that holds a token', async t => {
  await judge(t, everyLocation, [
    { name: 'a header before all', target: `GET /required?jwt=${bad}`, lines: [`Authorization: Bearer ${good}`, `Cookie: access_token_cookie=${bad}`], expected: passes },
    { name: 'a bad header is not made good by a cookie', lines: [`Authorization: Bearer ${bad}`, `Cookie: access_token_cookie=${good}`], expected: wrongSignature },
    { name: 'a bad cookie is not made good by the query', target: `GET /required?jwt=${good}`, lines: [`Cookie: access_token_cookie=${bad}`], expected: wrongSignature }
  ])
})
