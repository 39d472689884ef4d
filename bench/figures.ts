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

const percent = (value: number): string => `${Math.round(value * 100)} %`
const times = (value: number): string => value.toFixed(2)
const microseconds = (value: number): string => `${Math.round(value)} µs`

function readmeFigures ({ machine, http: { ratios, spreads, microsecondsOfCpu, starts } }: Results): string {
  const row = (label: string, ratio: string): string => {
    const [low, high] = spreads[ratio] as readonly [number, number]
    return `| ${label} | ${percent(ratios[ratio] as number)} | ${percent(low)} to ${percent(high)} | ${microseconds(microsecondsOfCpu[ratio.split(' / ')[0] as string] as number)} |`
  }
  return `
| | requests per second | in half of the starts | CPU per request |
| --- | --- | --- | --- |
| Fastify without authentication | 100 % | | ${microseconds(microsecondsOfCpu['bare'] as number)} |
${row('a hook that does nothing', 'a hook that does nothing / bare')}
${row('**fastify-jwt-extended**', 'ours / bare')}
${row('a hook by hand on `fast-jwt`', 'hook by hand on fast-jwt / bare')}
${row('`@fastify/jwt` with its cache', '@fastify/jwt with cache / bare')}
${row('`@fastify/jwt`', '@fastify/jwt / bare')}
| \`@fastify/cookie\` alone | 100 % | | ${microseconds(microsecondsOfCpu['bare with cookies'] as number)} |
${row('**fastify-jwt-extended**, token in a cookie', 'ours with cookies / bare with cookies')}

That is ${times(ratios['ours / @fastify/jwt with cache'] as number)} times \`@fastify/jwt\` with its cache, and ${times(ratios['ours, every token new / @fastify/jwt, every token new'] as number)} times \`@fastify/jwt\` where every token is new.
Medians of ${starts} starts, on ${machine.cpu}, ${machine.cores} cores, Node.js ${machine.node}.
`
}

function performanceFigures ({ machine, versions, http, micro, memory }: Results): string {
  const row = (label: string, ratio: string): string => {
    const [one, other] = ratio.split(' / ') as [string, string]
    const [low, high] = http.spreads[ratio] as readonly [number, number]
    const cpu = `${microseconds(http.microsecondsOfCpu[one] as number)}, ${microseconds(http.microsecondsOfCpu[other] as number)}`
    return `| ${label} | ${times(http.ratios[ratio] as number)} | ${times(low)} to ${times(high)} | ${cpu} |`
  }
  const ratios = { ...micro.ratios, ...memory.ratios }
  const ratio = (name: string): string => times(ratios[name] as number)
  const time = (name: string): string => `${((micro.nanoseconds[name] as number) / 1000).toFixed(1)} µs`
  return `
On ${machine.cpu}, ${machine.cores} cores, Node.js ${machine.node}, with ${Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(', ')}.

| HTTP: requests per second, of | ratio | half of the ${http.starts} starts | CPU per request of each |
| --- | --- | --- | --- |
${row('a hook that does nothing / no authentication', 'a hook that does nothing / bare')}
${row('ours, 500 tokens / no authentication', 'ours / bare')}
${row('ours, 1 token / no authentication', 'ours, 1 token / bare')}
${row('ours with cookies / `@fastify/cookie` parsing the same cookies', 'ours with cookies / bare with cookies')}
${row('ours / ours without a store', 'ours / ours without a store')}
${row('ours / `@fastify/jwt` with its cache', 'ours / @fastify/jwt with cache')}
${row('ours / `@fastify/jwt`', 'ours / @fastify/jwt')}
${row('ours / a hook by hand on `fast-jwt`', 'ours / hook by hand on fast-jwt')}
${row('… 20,000 tokens in turn', 'ours, 20,000 tokens / hook by hand on fast-jwt, 20,000 tokens')}
${row('… 100,000 tokens in turn, twice what is remembered', 'ours, 100,000 tokens / hook by hand on fast-jwt, 100,000 tokens')}
${row('ours / `@fastify/jwt`, every token new', 'ours, every token new / @fastify/jwt, every token new')}

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
