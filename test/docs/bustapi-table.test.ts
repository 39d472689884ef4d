import t from 'tap'
import { createErrors } from '../../lib/errors.ts'
import type { JwtErrorCode } from '../../lib/index.ts'
import { codeOf, ownNames, rowsOf } from '../helpers/migration-tables.ts'

const rows = rowsOf('from-bustapi.md')

/** What BustAPI's page on JWT names. */
const names = {
  options: [
    'secret_key', 'algorithm', 'access_expires', 'refresh_expires', 'token_location', 'access_cookie_name', 'refresh_cookie_name', 'cookie_secure',
    'cookie_httponly', 'cookie_samesite'
  ],
  methods: [
    'create_access_token', 'create_refresh_token', 'decode_token', 'verify_token', 'get_identity', 'set_access_cookies', 'set_refresh_cookies',
    'unset_jwt_cookies'
  ],
  decorators: ['jwt_required', 'jwt_optional', 'fresh_jwt_required', 'jwt_refresh_token_required', 'request.jwt_identity', 'request.jwt_claims']
}
const errors = [
  '401 Missing JWT token', '401 Token has expired', '401 Invalid token signature', '401 Fresh token required', '401 Refresh token required'
]

t.test('everything that BustAPI names has a row, with a name of ours that exists', async t => {
  const exists = await ownNames(t)
  for (const [kind, column] of [['options', 2], ['methods', 1], ['decorators', 1]] as const) {
    for (const name of names[kind]) {
      const row = rows.find(([first]) => first === `\`${name}\``)
      const own = codeOf(row?.[column])
      t.equal(own.length, 1, `${name}: a row`)
      t.ok(exists(own[0] ?? ''), `${name}: ${own[0]}`)
    }
  }
})

t.test('its errors have the same status and words here', async t => {
  for (const error of errors) {
    const row = rows.find(([first]) => first === error)
    const [code] = codeOf(row?.[1])
    const { statusCode, message } = createErrors()[code as JwtErrorCode]()
    t.equal(`${statusCode} ${message}`, error)
  }
})
