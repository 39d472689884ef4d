import { isEqual } from '../constant-time.ts'
import { fieldOf, isForm, reportUnreadBody } from './locate.ts'
import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { JwtClaims, TokenType } from '../types/claims.ts'

/** The value of a form field; `@fastify/multipart` puts it into an object. */
function valueOf (field: unknown): unknown {
  return typeof field === 'object' ? fieldOf(field, 'value') : field
}

/**
 * Double-submit CSRF protection as in Flask-JWT-Extended. If a token came in a cookie, its `csrf` claim must also come in a header or a
 * form field. A page of another origin can't read the claim, so it can't send it.
 *
 * @param cookie Which cookie the token came in.
 * @throws `FST_JWT_CSRF`
 */
export function checkDoubleSubmit (request: FastifyRequest, { csrf }: Pick<JwtClaims, 'csrf'>, cookie: TokenType, settings: Settings): void {
  const { errors } = settings
  const header = cookie === 'access' ? settings.accessCsrfHeaderName : settings.refreshCsrfHeaderName
  const field = cookie === 'access' ? settings.accessCsrfFieldName : settings.refreshCsrfFieldName

  let sent: unknown = request.headers[header]
  if ((sent === undefined || sent === '') && settings.csrfCheckForm && isForm(request)) {
    reportUnreadBody(request)
    sent = valueOf(fieldOf(request.body, field))
  }
  if (sent === undefined || sent === '') throw errors.FST_JWT_CSRF('CSRF token is missing')
  if (csrf === undefined || typeof sent !== 'string' || !isEqual(sent, csrf)) {
    throw errors.FST_JWT_CSRF('CSRF token does not match')
  }
}
