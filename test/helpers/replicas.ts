import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { ReplicaStatus } from '../../lib/stores/redis/store.ts'

interface Replicated { readonly replica: ReplicaStatus | null }

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
