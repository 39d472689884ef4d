import { existsSync } from 'node:fs'
import t from 'tap'
import { fixtures } from '../helpers/fixtures/flask-jwt-extended.ts'
import { codeOf, ownNames, rowsOf } from '../helpers/migration-tables.ts'

const page = 'from-flask-jwt-extended.md'
const rows = rowsOf(page)
const { options, functions, manager } = fixtures.names

/** Rows by what stands in the first cell, without what is passed to it; those of four cells tell differences. */
function rowsFor (name: string): string[][] {
  return rows.filter(row => row.length !== 4 && codeOf(row[0])[0]?.replace(/\(.*/, '') === name)
}

t.test('every configuration key has one row, with an option of ours or a reason', async t => {
  const exists = await ownNames(t)
  t.equal(options.length, 43)
  for (const key of options) {
    const [row, ...more] = rowsFor(key)
    t.equal(more.length, 0, `${key}: no second row`)
    t.equal(row?.length, 5, `${key}: a row`)
    const names = codeOf(row?.[2])
    if (names.length === 0) t.match(row?.[4], /^no option: .{20,}/, `${key}: why there is none`)
    for (const name of names) t.ok(exists(name), `${key}: ${name}`)
  }
})

t.test('the page lists no configuration key that there is not', async t => {
  for (const [first] of rows) {
    for (const code of codeOf(first)) if (code.startsWith('JWT_')) t.ok(options.includes(code), code)
  }
})

t.test('every function has a row, and every parameter of it', async t => {
  const exists = await ownNames(t)
  // The thing itself: a row for it would say nothing.
  const plain = ['identity', 'encoded_token', 'response', 'encoded_access_token', 'encoded_refresh_token']
  for (const [name, parameters] of Object.entries(functions)) {
    const found = rowsFor(name)
    t.ok(found.length > 0, `${name}: a row`)
    const passed = found.map(([first]) => codeOf(first)[0] ?? '')
    for (const parameter of parameters.filter(parameter => !plain.includes(parameter))) {
      t.ok(passed.some(call => call.includes(`(${parameter}=`)), `${name}(${parameter}): a row`)
    }
    for (const [first, ours, remark] of found) {
      const names = codeOf(ours)
      if (names.length === 0) t.match(remark, /^(no (option|parameter): |as above)/, `${first}: why there is none`)
      for (const own of names) t.ok(exists(own), `${first}: ${own}`)
    }
  }
})

t.test('every member of JWTManager has a row', async t => {
  const exists = await ownNames(t)
  for (const name of ['JWTManager', ...manager]) {
    const [row] = rowsFor(name)
    t.equal(row?.length, 3, `${name}: a row`)
    const names = codeOf(row?.[1])
    if (names.length === 0) t.match(row?.[2], /^no (class|method): /, `${name}: why there is none`)
    for (const own of names) t.ok(exists(own), `${name}: ${own}`)
  }
})

t.test('the check itself knows what there is not', async t => {
  const exists = await ownNames(t)
  for (const name of [
    'accessExpire', 'app.jwt.createToken', 'app.jwt.createAccessToken({ expires })', 'request.user', 'FST_JWT_OTHER', 'verifyJwt({ refresh: true })',
    'jwtRequire', "request.verifyJwt({ location: 'headers' })", ''
  ]) {
    t.notOk(exists(name), name)
  }
})

t.test('every example that is linked to exists', async t => {
  for (const row of rows) {
    for (const [, path] of row.join().matchAll(/\]\(\.\.\/([^)]+)\)/g)) t.ok(existsSync(new URL(`../../${path}`, import.meta.url)), String(path))
  }
})
