import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import { fileURLToPath } from 'node:url'
import { plainEnvironment, withTypes } from './example-process.ts'

interface Teardown {
  teardown (run: () => Promise<void>): void
}

/** A process of session-server.ts. */
export interface Server {
  readonly url: string
  /** Where each of its workers listens. */
  readonly urls: readonly string[]
  readonly child: ChildProcess
  output (): string
  /** SIGKILL: no goodbye. */
  kill (): Promise<void>
}

export interface Tokens { sessionId: string, accessToken: string, refreshToken: string }

export interface Answer<Body = Record<string, unknown>> { readonly status: number, readonly body: Body, readonly sentAt: number, readonly answeredAt: number }

const agent = new Agent({ keepAlive: true, maxSockets: Infinity })

/** Sends a request without fetch, which takes longer than the server. */
export async function call<Body = Record<string, unknown>> (url: string, method: 'GET' | 'POST', token = ''): Promise<Answer<Body>> {
  const sentAt = Date.now()
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, agent, headers: { authorization: `Bearer ${token}` } }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', chunk => { text += chunk }).on('error', reject)
      response.on('end', () => { resolve({ status: response.statusCode ?? 0, body: JSON.parse(text), sentAt, answeredAt: Date.now() }) })
    })
    request.on('error', reject).end()
  })
}

/** Starts session-server.ts, and stops it when the test ends. */
export async function startServer (t: Teardown, env: Record<string, string>, workers = 1): Promise<Server> {
  const program = fileURLToPath(new URL('session-server.ts', import.meta.url))
  const child = spawn(process.execPath, [...withTypes, program], {
    env: plainEnvironment({ ...env, ...(workers === 1 ? {} : { WORKERS: String(workers) }) }), stdio: ['ignore', 'pipe', 'pipe']
  })
  const exit = once(child, 'exit')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exit
  }
  t.teardown(async () => {
    await kill()
    agent.destroy()
  })
  let output = ''
  const urls = await new Promise<string[]>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      const lines = output.split('\n').filter(line => line.startsWith('http:'))
      if (output.endsWith('\n') && lines.length === workers) resolve(lines)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => { output += text })
    child.on('exit', code => reject(new Error(`A server ended with ${code}: ${output}`)))
  })
  return { url: urls[0] as string, urls, child, output: () => output, kill }
}
