import { prepareHook } from './authenticate/authenticate.ts'
import { challengeOnSend } from './authenticate/challenge.ts'
import { kAuthentication } from './authentication.ts'
import cookie from '@fastify/cookie'
import fp from 'fastify-plugin'
import { createTokenCookies, keepCookiesPrivate } from './cookies/token-cookies.ts'
import { badOption } from './errors.ts'
import { publish } from './events.ts'
import { resolveOptions } from './options/settings.ts'
import { kJwt, kRegistration, registrationOf } from './registration.ts'
import { checkRouteHooks, freshJwtRequired, jwtOptional, jwtRequired, refreshTokenRequired, verifyJwt, verifyRequest } from './authenticate/hooks.ts'
import { redactQueryToken } from './authenticate/log-redaction.ts'
import { implicitRefreshHook } from './cookies/implicit-refresh.ts'
import { documentRoutes } from './openapi/document-routes.ts'
import { protect } from './authenticate/protect.ts'
import { refuseUndefinedHooks } from './authenticate/undefined-hooks.ts'
import { warnOfLoneGuards } from './guards/lone-guards.ts'
import { createTokenIssuer } from './jwt/create.ts'
import { createTokenVerifier } from './jwt/verifier.ts'
import { addJwksRoute } from './keys/jwks-route.ts'
import { addMetadataRoute } from './resource/metadata-route.ts'
import { createJwtDecorator } from './app-jwt.ts'
import { warnOfMemory } from './stores/memory-warning.ts'
import { MemoryStore } from './stores/memory.ts'
import { joinStores } from './stores/split.ts'
import { nonceOnSend } from './dpop/fresh-nonce.ts'
import { createProofVerifier } from './dpop/verifier.ts'
import { createAnnounce } from './sessions/device-binding/announce.ts'
import { createEndReplaced } from './sessions/device-binding/replaced.ts'
import { addDeviceBindingRoutes, deviceBindingPaths } from './sessions/device-binding/routes.ts'
import { createSessions } from './sessions/sessions.ts'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { JwtExtendedOptions, OptionsWithKeys } from './types/options.ts'
import type { ResolvedDeviceBinding, Settings } from './options/settings.ts'
import type { HookOptions } from './authenticate/hook-options.ts'
import type { PreparedHook, Registration } from './registration.ts'
import type { Sessions } from './sessions/sessions.ts'
import type { Store } from './types/store.ts'

/**
 * Adds the request properties that hooks fill. They are on the prototype, so that a nested registration may add them again.
 * `kAuthentication`, which holds the values, is not a decorator: Fastify would write its initial value to every request of the app, which
 * cost about 1 % of the throughput.
 */
function decorateRequests (fastify: FastifyInstance): void {
  fastify.decorateRequest('jwtIdentity', { getter (this: FastifyRequest) { return this[kAuthentication]?.verified.claims.identity ?? null } })
  fastify.decorateRequest('jwtClaims', { getter (this: FastifyRequest) { return this[kAuthentication]?.verified.claims ?? null } })
  fastify.decorateRequest('jwtHeader', { getter (this: FastifyRequest) { return this[kAuthentication]?.verified.header ?? null } })
  fastify.decorateRequest('jwtLocation', { getter (this: FastifyRequest) { return this[kAuthentication]?.location ?? null } })
  fastify.decorateRequest('jwtUser', { getter (this: FastifyRequest) { return this[kAuthentication]?.user ?? null } })
  fastify.decorateRequest('verifyJwt', verifyRequest)
}

/**
 * Opens the store. The app closes a store of its own. Without one, the store of the enclosing registration is used, so that a token revoked
 * there is refused here. Otherwise a store in memory is created, which closes with the instance.
 */
async function openStore (fastify: FastifyInstance, { store: given }: Settings): Promise<Store | null> {
  if (given === false) return null
  if (given !== null) {
    const store = 'denylist' in given ? joinStores(given) : given
    await store.open?.()
    const end = store.onSessionEnd?.(sessionId => { publish('session.revoked', { sessionId, cause: null, remote: true }, fastify.log) })
    if (end !== undefined) fastify.addHook('onClose', async () => { end() })
    return store
  }
  const above = registrationOf(fastify)?.store
  if (above !== undefined && above !== null) return above
  warnOfMemory(fastify.log)
  const store = new MemoryStore()
  fastify.addHook('onClose', async () => { store.close() })
  return store
}

/** Builds everything for one `register` call. @throws `FST_JWT_BAD_OPTION` */
async function createRegistration (fastify: FastifyInstance, options: JwtExtendedOptions): Promise<Registration> {
  const settings = resolveOptions(options)
  const verifier = createTokenVerifier(settings)
  const issuer = createTokenIssuer(settings, verifier)
  const store = await openStore(fastify, settings)
  const proofs = settings.dpop && store !== null ? createProofVerifier(settings, settings.dpop, store, () => verifier.keys.opaqueKeys) : null
  const cookies = createTokenCookies(settings)
  // If tokens come only in cookies, a token that is too large for a cookie must not leave a session behind.
  const onlyCookies = settings.extractToken === null && settings.tokenLocation.every(location => location === 'cookies')
  const prepared = new Map<HookOptions, PreparedHook>()
  let queryTokenHidden = false

  const sessions = store === null
    ? null
    : createSessions({
      settings, issuer, verifier, store, proofs, checkSize: onlyCookies ? cookies.checkSize : () => {}, checkCookie: cookies.checkSize, log: fastify.log
    })
  const binds = sessions !== null && settings.deviceBinding !== false

  const registration: Registration = Object.freeze({
    instance: fastify,
    settings,
    verifier,
    issuer,
    cookies,
    store,
    proofs,
    sessions,
    announce: binds ? createAnnounce(settings, cookies, sessions, deviceBindingPaths(fastify, settings).registration) : null,
    hideQueryToken () {
      if (!queryTokenHidden) redactQueryToken(registration)
      queryTokenHidden = true
    },
    prepare (options: HookOptions) {
      let hook = prepared.get(options)
      if (hook === undefined) prepared.set(options, hook = prepareHook(options, registration))
      return hook
    }
  })
  return registration
}

function bindDevices (fastify: FastifyInstance, registration: Registration, sessions: Sessions, options: ResolvedDeviceBinding): void {
  addDeviceBindingRoutes(fastify, registration, sessions, options)
  fastify.addHook('onSend', createEndReplaced(registration, sessions))
}

async function addTo (fastify: FastifyInstance, options: JwtExtendedOptions): Promise<void> {
  if (Object.hasOwn(fastify, 'jwt')) {
    throw badOption('register', "came a second time in the same context (or @fastify/jwt has taken the name 'jwt'); register again inside an encapsulated context to have other options there")
  }
  refuseUndefinedHooks(fastify)
  const registration = await createRegistration(fastify, options)
  const { settings, verifier } = registration

  if (settings.tokenLocation.includes('cookies') && !fastify.hasReplyDecorator('setCookie')) await fastify.register(cookie)

  if (settings.tokenLocation.includes('queryString')) registration.hideQueryToken()

  decorateRequests(fastify)
  fastify.decorate(kRegistration, registration)
  const decorator = createJwtDecorator(registration)
  fastify.decorate('jwt', decorator)
  fastify.decorate(kJwt, decorator)
  fastify.decorate('jwtRequired', jwtRequired)
  fastify.decorate('jwtOptional', jwtOptional)
  fastify.decorate('freshJwtRequired', freshJwtRequired)
  fastify.decorate('refreshTokenRequired', refreshTokenRequired)
  fastify.decorate('verifyJwt', verifyJwt)

  fastify.addHook('onRoute', function (route) {
    // This hook also runs for the routes of a nested registration, which checks them itself.
    if (this[kRegistration] === registration) checkRouteHooks(registration, route)
  })
  protect(fastify, registration)
  documentRoutes(fastify, registration)
  if (registration.sessions !== null && settings.deviceBinding !== false) bindDevices(fastify, registration, registration.sessions, settings.deviceBinding)
  warnOfLoneGuards(fastify, registration)
  if (settings.resourceMetadata !== null) addMetadataRoute(fastify, settings.resourceMetadata, settings)
  if (settings.jwksPath !== null) addJwksRoute(fastify, settings.jwksPath, verifier)
  if (settings.implicitRefresh !== false) fastify.addHook('onSend', implicitRefreshHook(registration, settings.implicitRefresh))
  if (settings.tokenLocation.includes('cookies')) fastify.addHook('onSend', keepCookiesPrivate)
  fastify.addHook('onSend', challengeOnSend)
  if (settings.dpop && settings.dpop.nonceLife !== null) fastify.addHook('onSend', nonceOnSend)
}

function plugin (fastify: FastifyInstance, options: OptionsWithKeys): Promise<void> {
  // For `app.register(jwt({ … }))`. It throws synchronously, since Fastify would wait for a promise.
  if (typeof (fastify as Partial<FastifyInstance> | undefined)?.decorateRequest !== 'function') {
    throw new TypeError('The plugin was called, but register takes the plugin itself: write await app.register(jwt, { … })')
  }
  return addTo(fastify, options)
}

/**
 * Registers JWT login: `await app.register(jwt, { secretKey: process.env.JWT_SECRET_KEY })`. It may be registered again in an encapsulated
 * context, with other options there: the nearest registration wins.
 *
 * @throws `FST_JWT_BAD_OPTION`, naming the option, what it got, and what it takes.
 */
export default fp(plugin, { fastify: '5.x', name: 'fastify-jwt-extended' })
