import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import type { Test } from 'tap'
import * as face from '../../lib/index.ts'
import { errorCodes } from '../../lib/errors.ts'
import { secretKey } from './protected-app.ts'

/** The rows of every table of a page: cells as they are written. */
export function rowsOf (page: string): string[][] {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8')
  return text.split('\n').filter(line => line.startsWith('|') && !line.startsWith('| ---'))
    .map(line => line.split('|').slice(1, -1).map(cell => cell.trim()))
}

/** What a cell has in backticks. */
export function codeOf (cell = ''): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code as string)
}

/** The names after "the options are" of an error. */
async function namesIn (attempt: () => unknown): Promise<string[]> {
  try {
    await attempt()
  } catch (error) {
    return /the options are (.*)$/.exec((error as Error).message)?.[1]?.split(', ') ?? []
  }
  return []
}

/** Tells whether a name of ours, as a page writes it, exists. */
export async function ownNames (t: Test): Promise<(code: string) => boolean> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(face.default, { secretKey })
  const options = rowsOf('options.md').flatMap(([name]) => codeOf(name))
  const ofHooks = await namesIn(() => face.verifyJwt({ 'not an option': true } as face.VerifyOptions))
  const ofTokens = await namesIn(() => app.jwt.createAccessToken('user123', { 'not an option': true } as face.CreateAccessTokenOptions))
  const ofDecode = await namesIn(() => app.jwt.decodeToken('', { 'not an option': true } as face.DecodeTokenOptions))
  t.ok(options.length > 50 && ofHooks.length > 4 && ofTokens.length > 3 && ofDecode.length > 1, 'the errors name the options')

  return code => {
    const [, name = '', given] = /^([\w.]+)(?:\(\{ (.*) \}\))?$/.exec(code) ?? []
    const keys = given === undefined ? [] : [...given.matchAll(/(\w+)(?=:| |,|$)(?!')/g)].map(([, key]) => key as string).filter(key => key !== 'true')
    const known = (list: string[]) => keys.every(key => list.includes(key))
    if (name.startsWith('app.jwt.')) return name.slice(8) in app.jwt && known([...ofTokens, ...ofDecode])
    if (name.startsWith('request.')) return app.hasRequestDecorator(name.slice(8)) && known(ofHooks)
    if (name.startsWith('FST_JWT_')) return (errorCodes as string[]).includes(name)
    if (given !== undefined) return name in face && known(ofHooks)
    return options.includes(name) || name in face
  }
}
