import Fastify from 'fastify'
import t from 'tap'
import jwt from '../../../lib/index.ts'
import type { JwtExtendedOptions, OptionsWithKeys } from '../../../lib/index.ts'
import { ecPair } from '../../helpers/keys/key-pairs.ts'
import { otherSecretKey, secretKey } from '../../helpers/keys/found-keys-app.ts'

const { privateKey, publicKey } = ecPair()
const jwksUri = 'https://issuer.example/jwks.json'
const issuers = [{ issuer: 'https://issuer.example' }]
const decodeKey = () => secretKey

/** Options that can't work, the option that the error names, and what it says to do. */
const mistakes: Array<[name: string, options: Record<string, unknown>, option: string, remedy: RegExp]> = [
  ['jwksUri and issuers', { jwksUri, issuers }, 'jwksUri', /'jwksUri' of one of the issuers/],
  ['decodeKey and issuers', { decodeKey, issuers }, 'decodeKey', /'issuers'; it alone/],
  ['decodeKey and jwksUri', { decodeKey, jwksUri }, 'decodeKey', /'jwksUri'; it alone/],
  ['jwksUri and a secret', { jwksUri, secretKey }, 'jwksUri', /give it in 'issuers'/],
  ['jwksUri and a public key', { jwksUri, publicKey, algorithm: 'ES256' }, 'jwksUri', /give it in 'issuers'/],
  ['jwksUri and keys', { jwksUri, keys: [{ keyId: 'a', secretKey }] }, 'jwksUri', /give it in 'issuers'/],
  ['decodeKey and a key that only verifies', { decodeKey, publicKey, algorithm: 'ES256' }, 'decodeKey', /leave that out/],
  ['decodeKey and implicitRefresh', { decodeKey, secretKey, tokenLocation: 'cookies', implicitRefresh: 60 }, 'implicitRefresh', /leave it out/],
  ['issuers without a key that renews', { issuers, tokenLocation: 'cookies', implicitRefresh: 60 }, 'implicitRefresh', /leave/],
  ['keyId and no key', { issuers, keyId: 'a' }, 'keyId', /leave it out/],
  ['jwksPath and no key', { issuers, jwksPath: '/jwks.json' }, 'jwksPath', /leave it out/],
  ['jwksPath and a secret', { secretKey, jwksPath: '/jwks.json' }, 'jwksPath', /'privateKey'/],
  ['jwksPath and secrets', { keys: [{ keyId: 'a', secretKey }], jwksPath: '/jwks.json' }, 'jwksPath', /'privateKey'/],
  ['a jwksPath that is no path', { privateKey, algorithm: 'ES256', jwksPath: 'jwks.json' }, 'jwksPath', /jwks\.json'/],
  ['a jwksPath that is a pattern', { privateKey, algorithm: 'ES256', jwksPath: '/:name' }, 'jwksPath', /jwks\.json'/],
  ['issuer and no key', { issuers, issuer: 'us' }, 'issuer', /'issuers'/],
  ['decodeIssuer and no key', { issuers, decodeIssuer: 'us' }, 'decodeIssuer', /'issuers'/],
  ['no issuers', { issuers: [] }, 'issuers', /name an issuer/],
  ['issuers that are no list', { issuers: issuers[0] }, 'issuers', /an array/],
  ['an issuer that is a text', { issuers: ['https://issuer.example'] }, 'issuers[0]', /an object/],
  ['an issuer that is null', { issuers: [null] }, 'issuers[0]', /an object/],
  ['an issuer without a name', { issuers: [{ jwksUri }] }, 'issuers[0].issuer', /a non-empty string/],
  ['an issuer with an empty jwksUri', { issuers: [{ issuer: 'a', jwksUri: '' }] }, 'issuers[0].jwksUri', /a non-empty string/],
  ['an issuer with an unknown member', { issuers: [{ issuer: 'a', jwksURI: jwksUri }] }, 'issuers[0].jwksURI', /did you mean 'jwksUri'/],
  ['an issuer with an empty audience', { issuers: [{ ...issuers[0], audience: [] }] }, 'issuers[0].audience', /one value or several/],
  ['an issuer with an audience that is no text', { issuers: [{ ...issuers[0], audience: 5 }] }, 'issuers[0].audience', /a non-empty string/],
  ['an issuer named twice', { issuers: [...issuers, ...issuers] }, 'issuers[1].issuer', /once/],
  ['an issuer that is our own', { secretKey, issuer: 'https://issuer.example', issuers }, 'issuers[0].issuer', /one place/],
  ['an issuer that our own keys are for, too', { secretKey, decodeIssuer: ['us', 'https://issuer.example'], issuers }, 'issuers[0].issuer', /one place/],
  ['an issuer over plain HTTP', { issuers: [{ issuer: 'http://issuer.example' }] }, 'issuers[0].issuer', /https:/],
  ['an issuer whose name is no URL, without jwksUri', { issuers: [{ issuer: 'it' }] }, 'issuers[0].issuer', /URL/],
  ['a JWK Set of an issuer over plain HTTP', { issuers: [{ issuer: 'it', jwksUri: 'http://issuer.example' }] }, 'issuers[0].jwksUri', /https:/],
  ['a JWK Set over plain HTTP', { jwksUri: 'http://issuer.example' }, 'jwksUri', /https:/],
  ['a JWK Set in a file', { jwksUri: 'file:///keys.json' }, 'jwksUri', /https:/],
  ['a jwksUri that is no text', { jwksUri: new URL(jwksUri) }, 'jwksUri', /a non-empty string/],
  ['HMAC for a JWK Set', { jwksUri, algorithm: 'HS256' }, 'algorithm', /RS256/],
  ['only HMAC for a JWK Set', { jwksUri, decodeAlgorithms: ['HS256'] }, 'decodeAlgorithms', /RS256/],
  ['only HMAC for issuers', { issuers, secretKey, decodeAlgorithms: ['HS256'] }, 'decodeAlgorithms', /RS256/],
  ['an unknown algorithm for issuers', { issuers, decodeAlgorithms: ['RS1'] }, 'decodeAlgorithms', /RS256/],
  ['none for issuers', { issuers, decodeAlgorithms: ['none'] }, 'decodeAlgorithms', /anyone/],
  ['an unknown algorithm for decodeKey', { decodeKey, algorithm: 'RS1' }, 'algorithm', /RS256/],
  ['a decodeKey that is no function', { decodeKey: secretKey }, 'decodeKey', /a function/],
  ['no key at all', {}, 'secretKey', /make a secret/]
]

for (const [name, options, option, remedy] of mistakes) {
  t.test(`${name}: start-up stops and says what to do`, async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    const error = await app.register(jwt, options as object as OptionsWithKeys).ready().then(() => null, (error: Error) => error)
    t.match(error, { code: 'FST_JWT_BAD_OPTION' })
    t.match(error?.message, `option '${option}' `)
    t.match(error?.message, remedy)
    t.notMatch(error?.message, secretKey)
  })
}

const combinations: Record<string, JwtExtendedOptions> = {
  'issuers and a secret': { issuers, secretKey },
  'issuers and several secrets': { issuers, secretKey: [secretKey, otherSecretKey] },
  'issuers and a key pair': { issuers, privateKey, algorithm: 'ES256', keyId: 'a', jwksPath: '/jwks.json' },
  'issuers and a public key': { issuers, publicKey, algorithm: 'ES256' },
  'issuers beside our own name': { issuers, secretKey, issuer: 'us', decodeIssuer: ['us', 'before'] },
  'decodeKey alone': { decodeKey },
  'decodeKey and a key that signs': { decodeKey, privateKey, algorithm: 'ES256', jwksPath: '/jwks.json' },
  'jwksUri and whose tokens are meant': { jwksUri, decodeIssuer: 'them', decodeAudience: 'us' },
  'a decode algorithm that only an issuer uses': { issuers, secretKey, decodeAlgorithms: ['HS256', 'RS256'] }
}

for (const [name, options] of Object.entries(combinations)) {
  t.test(`${name} go together, and nothing is fetched at start-up`, async t => {
    t.intercept(globalThis, 'fetch', { value: () => t.fail('something is fetched') })
    const app = Fastify()
    t.teardown(() => app.close())
    await t.resolves(async () => { await app.register(jwt, options as OptionsWithKeys).ready() })
  })
}
