import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { plainEnvironment, withTypes } from './example-process.ts'

/** `session-server.ts`, as a process of its own. */
export interface SessionProcess { readonly url: string, readonly child: ChildProcess, output (): string }

/** Starts it, and ends it with the test. */
export async function startSessionServer (t: { teardown (run: () => Promise<void>): void }, env: Record<string, string>): Promise<SessionProcess> {
  const program = fileURLToPath(new URL('session-server.ts', import.meta.url))
  const child = spawn(process.execPath, [...withTypes, program], { env: plainEnvironment(env), stdio: ['ignore', 'pipe', 'pipe'] })
  const exit = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })
  let output = ''
  const ready = new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      const url = /^(http:\S+)\n/.exec(output)?.[1]
      if (url !== undefined) resolve(url)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => { output += text })
    child.on('exit', code => reject(new Error(`A server ended with ${code}: ${output}`)))
  })
  return { url: await ready, child, output: () => output }
}
