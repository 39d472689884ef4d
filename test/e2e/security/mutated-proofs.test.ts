import t from 'tap'
import { bound, boundApp, signedIn } from '../../helpers/bound-app.ts'
import { stoppedTime } from '../../helpers/clock.ts'
import { Device, signJws } from '../../helpers/device.ts'
import { seed } from '../../helpers/security/fuzzing.ts'
import { createRandom } from '../../helpers/security/mutations.ts'

/** 100,000 take some minutes: `MUTATED_PROOFS=100000 npx tap --disable-coverage test/e2e/security/mutated-proofs.test.ts`. */
const count = Number(process.env['MUTATED_PROOFS'] ?? 300)

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ "'

t.comment(`seed ${seed}`)
const random = createRandom(seed)

const character = () => alphabet[random(alphabet.length)] as string
const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T

const decode = (part = '') => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

const strange: readonly unknown[] = [null, true, 0, '', 'none', 'HS256', 'RS256', 'ES256', 'JWT', [], {}, ['ES256'], 'x'.repeat(200)]

/** A text that is near a proof, and none. */
function mutate (proof: string, thief: Device): string {
  const parts = proof.split('.')
  const at = random(proof.length)
  const member = pick(['typ', 'alg', 'jwk', 'kid', 'crit', 'jti', 'authorization', 'aud', '__proto__'])
  const mutations = [
    () => proof.slice(0, at) + character() + proof.slice(at + 1),
    () => proof.slice(0, at) + proof.slice(at + 1),
    () => proof.slice(0, at) + character() + proof.slice(at),
    () => proof.slice(0, at),
    () => [pick(parts), pick(parts), pick(parts)].join('.'),
    () => `${proof}.${pick(parts)}`,
    () => [encode({ ...decode(parts[0]), [member]: pick(strange) }), parts[1], parts[2]].join('.'),
    () => [parts[0], encode({ ...decode(parts[1]), [member]: pick(strange) }), parts[2]].join('.'),
    // Signed well, by somebody else, with the key of the device or the thief's own.
    () => signJws(thief.keyPair.privateKey, { ...decode(parts[0]), alg: 'ES256' }, decode(parts[1])),
    () => thief.refresh({ ...decode(parts[1]) }, { jwk: pick([thief.jwk, undefined]) }),
    () => [parts[0], parts[1], Buffer.alloc(1 + random(80), random(256)).toString('base64url')].join('.'),
    // The empty signature of CVE-2022-21449: r and s are 0.
    () => [parts[0], parts[1], Buffer.alloc(64).toString('base64url')].join('.')
  ]
  const mutated = pick(mutations)()
  // Quoted, it is the same proof; and so is a member that was set to what it was.
  return [proof, `"${proof}"`].includes(mutated) ? mutate(proof, thief) : mutated
}

t.setTimeout(3_600_000)

t.test(`${count} mutated proofs: none passes, and none is more than a refusal`, async t => {
  // However long it takes, no announcement and no challenge expires.
  stoppedTime(t)
  const app = await boundApp(t)
  const thief = new Device()
  for (const algorithm of ['ES256', 'RS256'] as const) {
    const [owner, guest] = [await bound(app, new Device(algorithm)), await signedIn(app, new Device(algorithm))]
    const { challenge = '', authorization = '' } = guest.registration ?? {}
    const refresh = owner.device.refresh({ jti: owner.challenge })
    const registration = guest.device.registration({ jti: challenge, authorization })
    const verdicts = new Map<string, number>()
    const passed: string[] = []
    for (let index = 0; index < count / 4; index++) {
      for (const [proof, browser, send] of [[refresh, owner, 'refreshWith'], [registration, guest, 'register']] as const) {
        const mutated = mutate(proof, thief)
        // A registration brings its own key: signed by that one, it is a registration of the thief's, who knows the announcement.
        if (send === 'register' && mutated.split('.')[0] !== registration.split('.')[0] && isOwn(mutated, thief)) continue
        const { statusCode, body } = await browser.copyWithRegistration(owner.instructions)[send](mutated)
        const { code = '' } = JSON.parse(body) as { code?: string }
        verdicts.set(`${statusCode} ${code}`, (verdicts.get(`${statusCode} ${code}`) ?? 0) + 1)
        if (statusCode === 200) passed.push(mutated)
      }
    }
    t.same(passed, [])
    t.same([...verdicts.keys()], ['400 FST_JWT_DEVICE_PROOF_INVALID'], JSON.stringify([...verdicts]))
    t.equal((await owner.refreshWith(refresh)).statusCode, 200, 'the proof itself passes')
    t.equal((await guest.register(registration)).statusCode, 200)
  }
})

/** Whether a proof brings the key of a device. */
function isOwn (proof: string, device: Device): boolean {
  try {
    return JSON.stringify(decode(proof.split('.')[0])['jwk']) === JSON.stringify(device.jwk)
  } catch {
    return false
  }
}
