import Fastify from 'fastify'
import t from 'tap'
import {
  allOf, anyOf, crossOriginProtection, freshJwtRequired, guard, jwtOptional, jwtRequired, not, permission, role, scope, verifyJwt
} from '../../../lib/index.ts'

const bad: [string, () => unknown, RegExp][] = [
  ['role()', () => role(), /option 'role' takes one value or several/],
  ['role([])', () => role([]), /option 'role'/],
  ["role('')", () => role(''), /option 'role\[0\]' takes a non-empty string/],
  ["role(['a', 1])", () => role(['a', 1] as never), /option 'role\[1\]' takes a non-empty string, got 1/],
  ["role('a', 'a')", () => role('a', 'a'), /names the same value twice/],
  ["role('a', 'b', {})", () => role('a', 'b', {} as never), /option 'role\[2\]' takes a non-empty string/],
  ["role(['a'], {}, 'b')", () => (role as (...args: unknown[]) => unknown)(['a'], {}, 'b'), /takes a list of names and an object of options/],
  ["role(['a'], ['b'])", () => role(['a'], ['b'] as never), /takes names, then an object of options/],
  ["role('a', null)", () => role('a', null as never), /takes names, then an object of options/],
  ["role('a', { match: 'some' })", () => role('a', { match: 'some' as never }), /option 'role.match' takes "any", "all"/],
  ["role('a', { claim: '' })", () => role('a', { claim: '' }), /option 'role.claim'/],
  ["role('a', { claim: [] })", () => role('a', { claim: [] }), /option 'role.claim'/],
  ["role('a', { claims: 'x' })", () => role('a', { claims: 'x' } as never), /option 'role.claims' is unknown; did you mean 'claim'\?/],
  ['permission(1)', () => permission(1 as never), /option 'permission\[0\]'/],
  ["scope('read write')", () => scope('read write'), /one scope per string/],
  ["scope('a\"b')", () => scope('a"b'), /one scope per string/],
  ['scope(1)', () => scope([1] as never), /one scope per string.*got 1/],
  ['guard()', () => guard(undefined as never), /option 'guard' takes a function/],
  ["guard(fn, { message: '' })", () => guard(() => true, { message: '' }), /option 'guard.message'/],
  ['guard(fn, { reason })', () => guard(() => true, { reason: 'x' } as never), /option 'guard.reason' is unknown/],
  ['anyOf()', () => anyOf(), /option 'anyOf' takes at least one guard/],
  ['allOf()', () => allOf(), /option 'allOf' takes at least one guard/],
  ['anyOf([guard])', () => anyOf([role('a')] as never), /as separate arguments/],
  ['allOf(function)', () => allOf((() => true) as never), /wrap a function of your own in guard\(\)/],
  ['anyOf(crossOriginProtection)', () => anyOf(crossOriginProtection), /takes guards/],
  ['anyOf(jwtOptional)', () => anyOf(role('a'), jwtOptional), /got an optional hook, which lets every request pass/],
  ['allOf(strictly optional)', () => allOf(verifyJwt({ optional: 'strict' })), /got an optional hook/],
  ['not()', () => not(undefined as never), /option 'not' takes one guard/],
  ['not(jwtRequired)', () => not(jwtRequired), /a refused token must not be a reason to pass/],
  ['not(anyOf(fresh))', () => not(anyOf(role('a'), freshJwtRequired)), /a refused token must not be a reason to pass/],
  ['not(not(allOf(token)))', () => not(allOf(not(role('a')), permission('p'), scope('s'), guard(() => true), jwtRequired)), /a refused token/],
  ['not(function)', () => not((() => true) as never), /option 'not' takes one guard/]
]

for (const [name, define, message] of bad) {
  t.test(`${name} fails where it is written`, async t => {
    t.throws(define, { code: 'FST_JWT_BAD_OPTION', message })
  })
}

t.test('a guard in a context where the plugin is not registered is an error, not a pass', async t => {
  const app = Fastify()
  app.get('/', { preHandler: role('admin') }, async () => 'reached')
  const answer = await app.inject('/')
  t.equal(answer.statusCode, 500)
  t.equal(answer.json().code, 'FST_JWT_NOT_REGISTERED')
})
