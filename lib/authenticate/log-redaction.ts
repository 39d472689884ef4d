import type { FastifyInstance, onRequestHookHandler } from 'fastify'

/** Where a pino logger keeps its serializers; pino exports this symbol as `pino.symbols.serializersSym`. */
const kSerializers = Symbol.for('pino.serializers')

type Serializers = Record<string, ((value: unknown) => unknown) | undefined>

/** The names whose values a logger hides already. */
const redactedNames = new WeakMap<Serializers, Set<string>>()

function decoded (name: string): string {
  try {
    return decodeURIComponent(name.replaceAll('+', ' '))
  } catch {
    return name
  }
}

/**
 * A URL with the value of a query parameter taken out, however its name is escaped; a `;` begins parameters as well,
 * where Fastify's `useSemicolonDelimiter` is on.
 */
export function redactUrl (url: string, parameter: string): string {
  return url.replace(/([?&;])([^?&;=#]*)=([^&;#]*)/g, (pair, delimiter: string, name: string) =>
    decoded(name).split('[', 1)[0] === parameter ? `${delimiter}${name}=redacted` : pair)
}

/**
 * Keeps tokens that come in the query out of the log: Fastify writes the URL of every request into its first line.
 * That line precedes all hooks, so the serializer is the one place left. A logger that is not pino has none, and
 * has to see to its lines itself.
 */
export function redactLog (fastify: FastifyInstance, parameter: string): void {
  const serializers = Reflect.get(fastify.log, kSerializers) as Serializers | undefined
  const serialize = serializers?.['req']
  if (serializers === undefined || serialize === undefined) return
  const names = redactedNames.get(serializers) ?? new Set()
  if (names.has(parameter)) return
  redactedNames.set(serializers, names.add(parameter))

  serializers['req'] = function redactingSerializer (request) {
    const shown = serialize(request)
    if (typeof shown !== 'object' || shown === null || !('url' in shown) || typeof shown.url !== 'string') return shown
    const url = redactUrl(shown.url, parameter)
    return url === shown.url ? shown : { ...shown, url }
  }
}

/** Takes the token out of the URL of a request that found no route, since Fastify puts that into log and answer. */
export function redactNotFound (parameter: string): onRequestHookHandler {
  return function redactNotFoundOnRequest (request, _reply, done) {
    if (request.is404 && request.raw.url !== undefined) request.raw.url = redactUrl(request.raw.url, parameter)
    done()
  }
}
