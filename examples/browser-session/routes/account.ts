import { Type } from 'typebox'
import { freshJwtRequired, jwtRequired } from 'fastify-jwt-extended'
import { hashPassword } from '../passwords.ts'
import { newPassword } from './credentials.ts'
import { noStore } from './no-store.ts'
import { signedIn } from './signed-in.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Accounts } from '../accounts.ts'

/** What belongs to whoever is signed in. */
const accountRoutes: FastifyPluginAsyncTypebox<{ accounts: Accounts }> = async (app, { accounts }) => {
  app.addHook('onRequest', noStore)

  app.get('/', { onRequest: jwtRequired }, async request => {
    const { name } = signedIn(request)
    const account = await accounts.find(name)
    const { fresh, exp, auth_time: signedInAt, bound = false } = request.jwtClaims ?? {}
    // Times in seconds since the epoch, as in the token.
    return { name, memberSince: Math.floor((account?.createdAt ?? 0) / 1000), fresh, accessExpiresAt: exp, signedInAt, bound }
  })

  // Only soon after the password was given: whoever finds a browser signed in can't lock its owner out.
  app.post('/password', { onRequest: freshJwtRequired, schema: { body: Type.Object({ password: newPassword }) } }, async request => {
    const { name, sessionId } = signedIn(request)
    await accounts.setPassword(name, await hashPassword(request.body.password))
    // Whoever knew the old password may be signed in with it.
    const signedOut = await app.jwt.revokeAllSessions(name, { except: sessionId })
    return { signedOut }
  })
}

export default accountRoutes
