import Fastify from 'fastify'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import jwt from 'fastify-jwt-extended'
import accountRoutes from './routes/account.ts'
import deviceRoutes from './routes/devices.ts'
import pages from './routes/pages.ts'
import sessionRoutes from './routes/session.ts'
import type { FastifyInstance } from 'fastify'
import type { Config } from './config.ts'
import type { Storage } from './storage.ts'

/** The whole site, ready to listen. */
export async function createApp (config: Config, { accounts, store, redis }: Storage): Promise<FastifyInstance> {
  const https = config.trustProxy !== null || config.tls !== null
  const refreshCookie = https ? '__Secure-refresh' : 'refresh'
  const app: FastifyInstance = Fastify({
    ...(config.tls === null ? {} : { https: config.tls }),
    logger: { level: config.logLevel },
    // Whose X-Forwarded-Proto and -Host are believed. Believe everybody's, and anybody can choose them.
    trustProxy: config.trustProxy ?? false
  })

  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        // Files of this site and nothing inline: what an attacker gets into a page does not run.
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        // The style sheet draws its icons from data: URLs.
        imgSrc: ["'self'", 'data:'],
        connectSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
        requireTrustedTypesFor: ["'script'"],
        ...(https ? { upgradeInsecureRequests: [] } : {})
      }
    },
    // For origins that a browser trusts; of others it complains that they send them.
    strictTransportSecurity: https,
    crossOriginOpenerPolicy: https,
    originAgentCluster: https,
    // Not `no-referrer`, helmet's default: it makes a browser send `Origin: null` with a form, which no server can tell
    // from a form of another site.
    referrerPolicy: { policy: 'same-origin' }
  })

  // On the routes that take a password only; the rest is as cheap to answer as to refuse.
  await app.register(rateLimit, {
    global: false,
    max: config.attemptsPerMinute,
    timeWindow: '1 minute',
    ...(redis === null ? {} : { redis, nameSpace: 'browser-session:attempts:' })
  })

  await app.register(jwt, {
    secretKey: config.secretKey,
    tokenLocation: 'cookies',
    accessExpires: config.accessExpires,
    refreshReuseInterval: config.reuseInterval,
    // However often it is refreshed, after three months a session wants the password again.
    sessionMaxAge: '90 days',
    store,

    // A browser that can binds its session to a key that never leaves the device: copied cookies end within 15 minutes. It needs
    // HTTPS, and an access token that lives for five minutes at least.
    deviceBinding: https && config.accessExpires >= 300,

    // A browser takes a `__Host-` cookie from this very host only, over HTTPS, for all paths: no sub-domain can plant
    // one. On http://localhost it would drop it without a word, so there the names are plain.
    cookieSecure: https,
    accessCookieName: https ? '__Host-access' : 'access',
    // The refresh token goes to the routes that need it, and with no other request. Signing out is one of them: it ends
    // the session even when the access token has expired. A path of its own rules out `__Host-`, see the README.
    refreshCookieName: refreshCookie,
    refreshCookiePath: '/session',
    // The pages are the same for everybody, and their scripts ask for what is personal; so nothing that is reached by a
    // link from elsewhere needs a cookie, and the strictest setting costs nothing.
    cookieSamesite: 'Strict'
  })

  await app.register(sessionRoutes, { prefix: '/session', accounts, refreshCookie })
  await app.register(accountRoutes, { prefix: '/account', accounts })
  await app.register(deviceRoutes, { prefix: '/devices' })
  await app.register(pages)
  return app
}
