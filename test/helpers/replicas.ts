import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { Store } from '../../lib/index.ts'
import type { ReplicaStatus } from '../../lib/stores/redis/store.ts'
import { sessionApp, verdict } from './session-app.ts'

export interface Replicated { readonly replica: ReplicaStatus | null }

/** Long enough that a machine that is busy trusts its replica, too. */
export const patient = { maxStaleness: 60_000 }

/** A server of many that share a store. */
export interface Server<S extends Replicated = Replicated> {
  readonly app: FastifyInstance
  readonly store: S
  /** How often requests have asked the store. */
  questions (): number
}

export async function startServer<S extends Store & Replicated & { close (): void }> (t: Test, store: S): Promise<Server<S>> {
  t.teardown(() => { store.close() })
  let questions = 0
  const { isDenied, checkToken } = store
  store.isDenied = async (...args) => { questions++; return isDenied.apply(store, args) }
  store.checkToken = async (...args) => { questions++; return checkToken.apply(store, args) }
  return { app: await sessionApp(t, { store }), store, questions: () => questions }
}

/** Waits for something that happens soon. */
export async function until (happened: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 20_000
  while (!await happened()) {
    if (performance.now() > end) throw new Error(`Nothing came of it: ${what}`)
    await sleep(10)
  }
}

export async function untilTrusted (...stores: Replicated[]): Promise<void> {
  for (const store of stores) await until(() => store.replica?.trusted === true, 'a replica that is trusted')
}

/** Keeps what is published as `session.revoked`. */
export function revokedSessions (t: Test): object[] {
  const events: object[] = []
  const listener = (event: unknown): void => { events.push(event as object) }
  subscribe('fastify-jwt-extended:session.revoked', listener)
  t.teardown(() => { unsubscribe('fastify-jwt-extended:session.revoked', listener) })
  return events
}

/** Keeps what is said of replicas that are not in use. */
export function replicaWarnings (t: Test): string[] {
  const warnings: string[] = []
  const listener = (warning: Error & { code?: string }): void => {
    if (warning.code === 'FST_JWT_NO_REPLICA') warnings.push(warning.message)
  }
  process.on('warning', listener)
  t.teardown(() => { process.off('warning', listener) })
  return warnings
}

/** What a request with this token gets, and whether the store was asked for it. */
export async function passage ({ app, questions }: Server, accessToken: string): Promise<string> {
  const before = questions()
  const result = await verdict(app, 'GET', '/me', accessToken)
  return `${result} ${questions() === before ? 'from memory' : 'from the store'}`
}

export async function untilPassage (server: Server, accessToken: string, expected: string): Promise<void> {
  await until(async () => await passage(server, accessToken) === expected, expected)
}
