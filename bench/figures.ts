// The figures that README.md and docs/performance.md show, made of what `npm run bench` wrote, so that they show no other.
import type { HttpResults } from './http.ts'
import type { MemoryResults } from './memory.ts'
import type { MicroResults } from './micro.ts'

export interface Results {
  machine: { cpu: string, cores: number, node: string }
  versions: Record<string, string>
  http: HttpResults
  micro: MicroResults
  memory: MemoryResults
}

/** The pages, from the root of the repository. */
export const pages = ['README.md', 'docs/performance.md'] as const

const begin = '<!-- figures of npm run bench -->'
const end = '<!-- end of figures -->'

/** A page with these results in the place it has for them. */
export function withFigures (page: typeof pages[number], text: string, results: Results): string {
  const [before, rest, ...more] = text.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined || more.length > 0) throw new Error(`${page} needs one ${begin} and ${end}`)
  const figures = page === 'README.md' ? readmeFigures(results) : performanceFigures(results)
  return `${before}${begin}\n${figures}\n${end}${after}`
}

function readmeFigures ({ machine, http: { ratios } }: Results): string {
  const percent = (name: string): string => `${((ratios[name] as number) * 100).toFixed(1)} %`
  const times = (name: string): string => String(ratios[name])
  return `
| | of Fastify without authentication |
| --- | --- |
| **fastify-jwt-extended** | **${percent('ours / bare')}** |
| **… token in a cookie**, of \`@fastify/cookie\` alone | **${percent('ours with cookies / bare with cookies')}** |
| a hook by hand on \`fast-jwt\` | ${percent('hook by hand on fast-jwt / bare')} |
| \`@fastify/jwt\` with its cache | ${percent('@fastify/jwt with cache / bare')} |
| \`@fastify/jwt\` | ${percent('@fastify/jwt / bare')} |

${times('ours / @fastify/jwt with cache')} times \`@fastify/jwt\` with its cache; ${times('ours / @fastify/jwt, every token new')} times \`@fastify/jwt\` where every token is new. Medians, on
${machine.cpu}, ${machine.cores} cores, Node.js ${machine.node}.
`
}

function performanceFigures ({ machine, versions, http, micro, memory }: Results): string {
  const ratios = { ...http.ratios, ...micro.ratios, ...memory.ratios }
  const ratio = (name: string): string => String(ratios[name])
  const time = (name: string): string => `${((micro.nanoseconds[name] as number) / 1000).toFixed(1)} µs`
  return `
On ${machine.cpu}, ${machine.cores} cores, Node.js ${machine.node}, with ${Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(', ')}.

| HTTP, keep-alive, ten requests pipelined on 50 connections, server on a core of its own | |
| --- | --- |
| ours, 500 tokens / no authentication | ${ratio('ours / bare')} |
| ours, 1 token / no authentication | ${ratio('ours, 1 token / bare')} |
| ours, 20,000 tokens, twice what is remembered / no authentication | ${ratio('ours, 20,000 tokens / bare')} |
| ours with cookies / \`@fastify/cookie\` parsing the same cookies | ${ratio('ours with cookies / bare with cookies')} |
| ours / \`@fastify/jwt\` with its cache | ${ratio('ours / @fastify/jwt with cache')} |
| ours / \`@fastify/jwt\` | ${ratio('ours / @fastify/jwt')} |
| ours / a hook by hand on \`fast-jwt\` | ${ratio('ours / hook by hand on fast-jwt')} |
| ours / \`@fastify/jwt\`, every token new | ${ratio('ours / @fastify/jwt, every token new')} |
| ours with the memory store / ours without a store | ${ratio('ours with memory store / ours')} |

| one call | time | of it |
| --- | --- | --- |
| the hook, a token seen before | ${time('hook, seen token')} | |
| … with the memory store | ${time('hook with memory store, seen token')} | |
| the hook, a token not seen before | ${time('hook, unseen token')} | ${ratio('hook / fast-jwt verify, unseen token')} of \`fast-jwt\` verify |
| the hook, a bad signature | ${time('hook, bad signature')} | ${ratio('refusing a bad signature / fast-jwt')} of \`fast-jwt\` refusing it |
| the hook, an expired token | ${time('hook, expired')} | ${ratio('refusing an expired token / fast-jwt')} of \`fast-jwt\` refusing it |
| the hook, a malformed token | ${time('hook, malformed')} | ${ratio('refusing a malformed token / fast-jwt')} of \`fast-jwt\` refusing it |
| \`createAccessToken\` | ${time('createAccessToken')} | ${ratio('createAccessToken / fast-jwt sign and a UUID')} of \`fast-jwt\` signing, and a UUID |

Memory: ${memory.bytesPerRememberedToken} bytes of heap for each remembered token; after a million distinct tokens the heap was
${ratio('heap after 1,000,000 tokens / after 200,000')} of what it was after 200,000.
`
}
