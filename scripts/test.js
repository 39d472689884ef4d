// `npm test`: builds, then runs the unit tests with their coverage, and beside them, one after another, the end-to-end tests and the
// checks of lint, types, unused code and the package. The last line counts tests, and the lines before it name what was skipped and why.
import { spawn, spawnSync } from 'node:child_process'
import { createReadStream, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Parser } from 'tap-parser'
import { load } from './typescript-hooks.js'

const results = new URL('../.tap/results/', import.meta.url)
rmSync(results, { recursive: true, force: true })
mkdirSync(results, { recursive: true })

/** Runs a command quietly. What it printed is shown if it fails. */
async function run (name, command, args, options = {}) {
  const started = Date.now()
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  const output = { stdout: [], stderr: [] }
  for (const stream of ['stdout', 'stderr']) child[stream].on('data', chunk => output[stream].push(chunk))
  const status = await new Promise(resolve => {
    child.once('error', error => { output.stderr.push(Buffer.from(String(error))); resolve(1) })
    child.once('close', code => { resolve(code ?? 1) })
  })
  const seconds = Math.round((Date.now() - started) / 1000)
  const [stdout, stderr] = [Buffer.concat(output.stdout), Buffer.concat(output.stderr)]
  console.log(`${status === 0 ? 'ok' : 'FAILED'}: ${name} (${seconds} s)`)
  if (status !== 0) console.log(`${stdout.toString().slice(-20_000)}\n${stderr.toString().slice(-20_000)}`)
  return { ok: status === 0, stdout }
}

const npm = (name, environment = {}) =>
  run(name, 'npm', ['run', '--silent', name], { shell: process.platform === 'win32', env: { ...process.env, ...environment } })

/** Collects the tests of a parser: those that hold no others, each with its verdict, and what failed in it. */
function collect (parser, path, into) {
  let child = null
  parser.on('child', inner => {
    child = { tests: [], failures: [] }
    collect(inner, [...path, inner.name], child)
  })
  parser.on('assert', ({ ok, name, skip, todo, diag }) => {
    const full = [...path, name].join(' > ')
    const reason = skip || todo
    if (child !== null && child.tests.length > 0) {
      into.tests.push(...child.tests)
      // All of them may have passed, and a hook or the plan of the whole have failed.
      if (!ok && child.tests.every(test => test.ok)) into.tests.push({ name: full, ok, failures: child.failures })
    } else if (child !== null || reason) {
      into.tests.push({ name: full, ok, reason, failures: child?.failures ?? [] })
    } else if (!ok) {
      into.failures.push({ name, diag })
    }
    child = null
  })
  parser.on('bailout', reason => into.tests.push({ name: `bail out: ${reason}`, ok: false, failures: [] }))
}

/** The tests in what tap has printed or written, with one that failed if the run did and no test of it. */
async function testsIn (name, ok, tap) {
  const collected = { tests: [], failures: [] }
  const parser = new Parser()
  collect(parser, [], collected)
  try {
    await pipeline(tap, parser)
  } catch (error) {
    collected.tests.push({ name, ok: false, failures: [{ name: String(error) }] })
  }
  const failed = collected.tests.filter(test => !test.ok)
  for (const { name, failures } of failed) console.log(`\nnot ok: ${name}\n${failures.map(({ name, diag }) => `  ${name}\n${JSON.stringify(diag, null, 2)}`).join('\n')}`)
  // Without coverage, say, tap fails though every test has passed.
  if (!ok && failed.length === 0) collected.tests.push({ name, ok: false, failures: [] })
  return collected.tests
}

async function unit (options) {
  const file = fileURLToPath(new URL('unit.tap', results))
  const { ok, stdout } = await run('unit tests', 'npx', ['tap', '--jobs=2', '--reporter=silent', `--output-file=${file}`, ...options], { shell: process.platform === 'win32' })
  const uncovered = stdout.toString().split('\n').filter(line => line.includes('|') && !/\| *100 \| *100 \| *100 \| *100 \|/.test(line))
  if (uncovered.length > 2) console.log(uncovered.join('\n'))
  return testsIn('unit tests', ok, createReadStream(file))
}

/** Folders whose files share a process, since each start costs more than their tests do. */
const shared = ['test/docs', 'test/e2e/browser', 'test/e2e/examples', 'test/e2e/security', 'test/e2e/servers', 'test/e2e/works-with']

/** Files, and folders of those that run together. */
function groups () {
  const files = ['e2e', 'docs'].flatMap(folder => readdirSync(new URL(`../test/${folder}/`, import.meta.url), { recursive: true })
    .filter(file => file.endsWith('.test.ts')).map(file => `test/${folder}/${file.replaceAll('\\', '/')}`)).sort()
  const together = new Set(files.map(file => shared.find(folder => file.startsWith(`${folder}/`)) ?? file))
  return [...together]
}

/** Runs what is no unit test. tap does not: a second run of it would take the coverage of the first away. */
async function endToEnd (path) {
  const args = ['--import', './scripts/typescript.js', 'test/helpers/together.ts', path]
  const { ok, stdout } = await run(path, process.execPath, args, { env: { ...process.env, TAP_TIMEOUT: '600' } })
  return testsIn(path, ok, Readable.from([stdout]))
}

/** On a machine without these programs their tests are skipped, and what only they cover is not covered. */
const missing = [['redis-server', '--version']].filter(([program, ...args]) => spawnSync(program, args).status !== 0).map(([program]) => program)
const coverage = missing.length === 0 || process.env.CI !== undefined ? [] : ['--allow-incomplete-coverage']

// A process that meets a file for the first time loads the TypeScript compiler: this one meets all of them. Those of
// examples/nestjs have decorators, and only TypeScript itself compiles them.
const programs = ['lib', 'test', 'examples'].flatMap(folder => readdirSync(new URL(`../${folder}/`, import.meta.url), { recursive: true })
  .filter(file => file.endsWith('.ts')).map(file => new URL(`../${folder}/${file.replaceAll('\\', '/')}`, import.meta.url).href))
const [built, prepared] = await Promise.all([
  npm('build'),
  // tap builds itself anew for the plugins of .taprc, and a run that finds itself unbuilt goes on with all of them, a TypeScript
  // compiler in each process among them.
  run('tap build', 'npx', ['tap', 'build'], { shell: process.platform === 'win32' }),
  Promise.allSettled(programs.map(url => load(url)))
])
const outcomes = [built, prepared]
const tests = []
/** What takes long begins early, so that all workers end at about the same time: browsers, which wait a lot, beside the unit tests. */
const early = [
  'test/e2e/browser', 'test/e2e/examples', 'test/e2e/servers', 'lint', 'test/e2e/security', 'test/e2e/works-with', 'test/e2e/package', 'test/docs', 'typecheck'
]
const rank = name => [...early, ''].findIndex(start => name.startsWith(start))
const queue = [
  ...groups().map(path => ({ name: path, start: async () => { tests.push(...await endToEnd(path)) } })),
  // The package is packed as it was just built.
  ...['lint', 'check:package', 'typecheck', 'check:unused', 'docs'].map(name => ({ name, start: async () => { outcomes.push(await npm(name, { npm_config_ignore_scripts: 'true' })) } }))
].sort((one, other) => rank(one.name) - rank(other.name))
/** A time-out is no test of a busy machine: there are never many more processes than processors. */
async function worker () {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) await next.start()
}
await Promise.all([
  ...Array.from({ length: Math.max(1, availableParallelism() - 1) }, worker),
  unit(coverage).then(async unitTests => {
    tests.push(...unitTests)
    await Promise.all([worker(), worker()])
  })
])

const skipped = tests.filter(({ reason }) => reason)
const failedTests = tests.filter(({ ok, reason }) => !ok && !reason).length
const failed = failedTests + outcomes.filter(({ ok }) => !ok).length
for (const reason of new Set(skipped.map(test => test.reason))) {
  console.log(`skipped, ${reason === true ? 'for no reason given' : reason}: ${skipped.filter(test => test.reason === reason).map(({ name }) => name).join('; ')}`)
}
if (coverage.length > 0) console.log(`coverage is not complete without ${missing.join(', ')}, and was not asked for`)
console.log(`${tests.length - skipped.length - failedTests} passed, ${failed} failed, ${skipped.length} skipped`)
process.exitCode = failed === 0 ? 0 : 1
