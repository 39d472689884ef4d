import Fastify from 'fastify'
import swagger from '@fastify/swagger'
import { Type, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import t from 'tap'
import jwt, { jwtRequired, role } from '../../../lib/index.ts'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

t.test('with @fastify/type-provider-typebox a route keeps its types behind hooks and guards', async t => {
  const app = Fastify().withTypeProvider<TypeBoxTypeProvider>().setValidatorCompiler(TypeBoxValidatorCompiler)
  await app.register(swagger, { openapi: { openapi: '3.1.0', info: { title: 'test', version: '1' } } })
  await app.register(jwt, { secretKey: 'a secret of at least thirty-two bytes' })
  app.post('/sum', {
    onRequest: [jwtRequired, role('clerk')],
    schema: {
      body: Type.Object({ a: Type.Number(), b: Type.Number() }),
      response: { 200: Type.Object({ sum: Type.Number(), by: Type.Union([Type.String(), Type.Null()]) }) }
    }
  }, async request => {
    const { a, b } = request.body
    const sum: number = a + b
    return { sum, by: request.jwtIdentity }
  })
  await app.ready()
  const send = (payload: object, headers = {}) => app.inject({ method: 'POST', url: '/sum', payload, headers })
  const headers = { authorization: `Bearer ${app.jwt.createAccessToken('ada', { claims: { role: 'clerk' } })}` }
  t.equal((await send({ a: 1 })).statusCode, 401, 'refused before it is validated')
  t.equal((await send({ a: 1 }, headers)).statusCode, 400)
  t.same((await send({ a: 1, b: 2 }, headers)).json(), { sum: 3, by: 'ada' })
  t.same(app.swagger().paths?.['/sum']?.post?.security, [{ bearerAuth: ['clerk'] }])
})
