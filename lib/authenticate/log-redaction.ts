import { badOption } from '../errors.ts'
import { registrationOf } from '../registration.ts'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify'
import type { Registration } from '../registration.ts'

/** Where a pino logger keeps its serializers; pino exports this symbol as `pino.symbols.serializersSym`. */
const kSerializers = Symbol.for('pino.serializers')

const levels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const

type Serializers = Record<string, ((value: unknown) => unknown) | undefined>

function decoded (text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}

/** The name of a query parameter. It may follow a `;`, since Fastify can be configured to separate parameters by `;`. */
const nameOfPair = /(?:^|[?;])([^?;=#]*)=/g

/**
 * Replaces the values of a query parameter in a URL, also if its name is escaped or indexed. A value ends at the next `&`: whether a `;` is
 * part of it depends on the configuration of Fastify.
 */
export function redactUrl (url: string, parameter: string): string {
  return url.split('&').map((part, index) => {
    for (const match of part.matchAll(nameOfPair)) {
      const name = decoded(String(match[1]))
      const isPath = index === 0 && match.index === 0 && !/^[?;]/.test(match[0])
      if (!isPath && (name === parameter || name.startsWith(`${parameter}[`))) return `${part.slice(0, match.index + match[0].length)}redacted`
    }
    return part
  }).join('&')
}

/** Replaces the URL of a request in a text, such as the message of a 404. */
function redactText (text: string, url: string, redacted: string): string {
  return text.replaceAll(url, redacted)
}

/** A logger that replaces the URL of a request in its texts. */
function redactingLogger (log: FastifyBaseLogger, url: string, redacted: string): FastifyBaseLogger {
  const wrapped = Object.create(log) as FastifyBaseLogger
  const hide = (value: unknown): unknown => typeof value === 'string' ? redactText(value, url, redacted) : value
  for (const level of levels) {
    wrapped[level] = (...args: unknown[]) => { Reflect.apply(log[level], log, args.map(hide)) }
  }
  wrapped.child = (...args) => redactingLogger(log.child(...args), url, redacted)
  return wrapped
}

/** Whether logging is off. The logger of Fastify then has no level, and one empty function for all levels. */
function isSilent ({ log }: FastifyInstance): boolean {
  return (log.level as string | undefined) === undefined && log.fatal === log.trace
}

function isRoot (instance: FastifyInstance): boolean {
  return !('addHook' in Object.getPrototypeOf(instance))
}

/** Whether a registration on the root instance already keeps this query parameter out of the log. */
function isHiddenAbove ({ instance, settings: { queryStringName } }: Registration): boolean {
  const above = registrationOf(Object.getPrototypeOf(instance) as FastifyInstance)
  if (above === undefined) return false
  const { tokenLocation, queryStringName: name } = above.settings
  return (isRoot(above.instance) && tokenLocation.includes('queryString') && name === queryStringName) || isHiddenAbove(above)
}

/** Fastify logs the URL of every request before any hook runs. Only the serializer can change that line. */
function redactSerializer (fastify: FastifyInstance, parameter: string): void {
  const serializers = Reflect.get(fastify.log, kSerializers) as Serializers | undefined
  const serialize = serializers?.['req']
  if (serializers === undefined || serialize === undefined) {
    throw badOption('tokenLocation', "has 'queryString', and the logger has no 'req' serializer that could keep tokens out of the log; use pino, give the logger one, or turn logging off")
  }
  serializers['req'] = function redactingSerializer (request) {
    const shown = serialize(request)
    if (typeof shown !== 'object' || shown === null || !('url' in shown) || typeof shown.url !== 'string') return shown
    const url = redactUrl(shown.url, parameter)
    return url === shown.url ? shown : { ...shown, url }
  }
}

/** The URL of a request, and the redacted URL; `null` if they are equal. */
function urlsOf ({ raw: { url = '' } }: FastifyRequest, parameter: string): { url: string, redacted: string } | null {
  const redacted = redactUrl(url, parameter)
  return redacted === url ? null : { url, redacted }
}

/**
 * Keeps tokens in the query string out of logs and responses. Fastify logs the URL of each request. If a request has no route, Fastify also
 * writes its URL into a second log line and into the response.
 *
 * @throws `FST_JWT_BAD_OPTION` in a nested context, unless the root already does this, since the root handles requests without a route; and
 *   with a logger that has no serializers.
 */
export function redactQueryToken (registration: Registration): void {
  const { instance: fastify, settings: { queryStringName: parameter } } = registration
  if (!isRoot(fastify)) {
    if (isHiddenAbove(registration)) return
    throw badOption('tokenLocation', "has 'queryString' in a nested context, where a mistyped URL would put the token into the log of the root; register the plugin on the root instance with 'queryString' and the same queryStringName first")
  }
  if (!isSilent(fastify)) redactSerializer(fastify, parameter)

  fastify.addHook('onRequest', function redactLogOnRequest (request, reply, done) {
    const urls = urlsOf(request, parameter)
    if (urls !== null) reply.log = request.log = redactingLogger(request.log, urls.url, urls.redacted)
    done()
  })
  fastify.addHook('onSend', function redactNotFoundOnSend (request, reply, payload, done) {
    const urls = reply.statusCode === 404 && typeof payload === 'string' ? urlsOf(request, parameter) : null
    done(null, urls === null ? payload : redactText(payload as string, urls.url, urls.redacted))
  })
}
