/*
 * Generated hostile inputs: 200,000 of them, or as many as FASTIFY_JWT_FUZZ says, as in
 *
 *   FASTIFY_JWT_FUZZ=1000000 npx tap --disable-coverage --timeout=1800 test/e2e/security/fuzz-*.test.ts
 *
 * which also checks that no answer takes 50 ms. FASTIFY_JWT_FUZZ_SEED repeats a run. Nineteen in twenty go to the hooks
 * themselves (`fuzz-hooks.test.ts`), with a request of Fastify's own making whose headers, query and body are put in
 * place of what came: so no time goes into HTTP. The rest go through `inject`, and as bytes through a socket
 * (`fuzz-http.test.ts`).
 */
import type { Test } from 'tap'
import type { JwtExtendedOptions } from '../../../lib/index.ts'
import { configurations } from './configurations.ts'
import { everyLocation } from './recording-app.ts'

const flagged = process.env['FASTIFY_JWT_FUZZ'] !== undefined
const total = Number(process.env['FASTIFY_JWT_FUZZ'] ?? 20_000)
export const seed = Number(process.env['FASTIFY_JWT_FUZZ_SEED'] ?? Date.now() % 1_000_000)
export const socketShare = Math.floor(total * 0.02)
export const injectShare = Math.floor(total * 0.03)
export const hookShare = total - socketShare - injectShare

export function optionsOf (name: string): JwtExtendedOptions {
  return { ...configurations.find(configuration => configuration.name === name)?.options, ...everyLocation }
}

/** What a location makes of a text before it is a token at all. */
export const read: Record<string, (text: string) => string> = {
  header: text => text.replace(/^[ \t]+/, '').replace(/[ \t]+$/, ''),
  cookie: text => { const value = text.split(';', 1)[0]?.trim() ?? ''; try { return decodeURIComponent(value) } catch { return value } },
  query: text => text,
  body: text => text
}

/** Runs what is measured, and keeps in mind the inputs that took longest. */
export class Stopwatch<Input> {
  readonly #run: (input: Input) => unknown
  #slowest: { input: Input, milliseconds: number }[] = []

  constructor (run: (input: Input) => unknown) {
    this.#run = run
  }

  add (input: Input, milliseconds: number): void {
    if (this.#slowest.length === 5 && milliseconds <= (this.#slowest[4]?.milliseconds ?? 0)) return
    this.#slowest = [...this.#slowest, { input, milliseconds }].sort((a, b) => b.milliseconds - a.milliseconds).slice(0, 5)
  }

  /**
   * Sends the slowest again, ten times each: what is slow by itself is slow each time, and what had to wait for a garbage
   * collection, or for a machine busy with other things, is not. Checked when a number was asked for.
   */
  async report (t: Test): Promise<void> {
    let slowest = 0
    for (const { input } of this.#slowest) {
      let fastest = Infinity
      for (let i = 0; i < 10; i++) {
        const started = performance.now()
        await this.#run(input)
        fastest = Math.min(fastest, performance.now() - started)
      }
      slowest = Math.max(slowest, fastest)
    }
    t.comment(`slowest: ${this.#slowest[0]?.milliseconds.toFixed(1)} ms as it came, ${slowest.toFixed(2)} ms sent again`)
    if (flagged) t.ok(slowest < 50, 'no answer takes 50 ms')
  }
}
