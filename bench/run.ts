// `npm run bench`: everything, one after the other; prints the figures, and writes results.json and the chart.
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { chart } from './chart.ts'
import { pages, withFigures } from './figures.ts'
import { http } from './http.ts'
import { memory } from './memory.ts'
import { micro } from './micro.ts'
import { progress } from './measure.ts'
import type { Results } from './figures.ts'

function version (name: string): string {
  const file = name === 'fastify-jwt-extended' ? '../package.json' : `../node_modules/${name}/package.json`
  return (JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as { version: string }).version
}

const packages = ['fastify-jwt-extended', 'fastify', '@fastify/cookie', '@fastify/jwt', 'fast-jwt', 'jose', 'jsonwebtoken']

// What takes longest comes last, so that nothing after it can lose it.
const [calls, heap] = [await micro(), await memory()]
const results: Results = {
  machine: { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: cpus().length, node: process.version },
  versions: Object.fromEntries(packages.map(name => [name, version(name)])),
  http: await http(Number(process.env['BENCH_STARTS'] ?? 10), Number(process.env['BENCH_ROUNDS'] ?? 3), Number(process.env['BENCH_SECONDS'] ?? 0.25)),
  micro: calls,
  memory: heap
}

const round = (value: number): number => Math.round(value * 1000) / 1000
for (const part of [results.http, results.micro, results.memory]) {
  for (const name of Object.keys(part.ratios)) part.ratios[name] = round(part.ratios[name] as number)
}
for (const [name, [low, high]] of Object.entries(results.http.spreads)) results.http.spreads[name] = [round(low), round(high)]

console.log(`\n${results.machine.cpu}, ${results.machine.cores} cores, Node.js ${results.machine.node}`)
console.log(Object.entries(results.versions).map(([name, is]) => `${name} ${is}`).join(', '))
console.log('\nrequests per second, and microseconds of the server\'s CPU time for each (medians)')
console.table(Object.fromEntries(Object.entries(results.http.requestsPerSecond).map(([name, perSecond]) => [name, { perSecond, cpu: results.http.microsecondsOfCpu[name] }])))
console.log(`ratios of requests per second: medians of ${results.http.starts} starts, and between which two values half of them lie`)
console.table(Object.fromEntries(Object.entries(results.http.ratios).map(([name, ratio]) => [name, { ratio, spread: results.http.spreads[name]?.join(' to ') }])))
console.log('nanoseconds per call (medians)')
console.table(results.micro.nanoseconds)
console.log('ratios (medians of the ratios of two measured one after the other)')
console.table({ ...results.micro.ratios, ...results.memory.ratios })
console.log(`heap per remembered token: ${results.memory.bytesPerRememberedToken} bytes`)

writeFileSync(new URL('results.json', import.meta.url), `${JSON.stringify(results, null, 2)}\n`)
writeFileSync(new URL('../docs/benchmarks.svg', import.meta.url), chart(results.http.ratios))
for (const page of pages) {
  const file = new URL(`../${page}`, import.meta.url)
  writeFileSync(file, withFigures(page, readFileSync(file, 'utf8'), results))
}
progress(`\nwrote bench/results.json, docs/benchmarks.svg, and the figures of ${pages.join(' and ')}`)
