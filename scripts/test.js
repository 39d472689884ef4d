// `npm test`: builds, then checks lint, types, unused code and the package beside the tests. The last line counts tests, and the
// lines before it name what was skipped and why.
import { spawn, spawnSync } from 'node:child_process'
import { createReadStream, mkdirSync, rmSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { Parser } from 'tap-parser'

const results = new URL('../.tap/results/', import.meta.url)
rmSync(results, { recursive: true, force: true })
mkdirSync(results, { recursive: true })

/** Runs a command quietly. What it printed is shown if it fails. */
async function run (name, command, args) {
  const started = Date.now()
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], shell: process.platform === 'win32' })
  const output = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => output.push(chunk))
  const status = await new Promise(resolve => {
    child.once('error', error => { output.push(Buffer.from(String(error))); resolve(1) })
    child.once('close', code => { resolve(code ?? 1) })
  })
  const seconds = Math.round((Date.now() - started) / 1000)
  console.log(`${status === 0 ? 'ok' : 'FAILED'}: ${name} (${seconds} s)`)
  if (status !== 0) console.log(Buffer.concat(output).toString().slice(-20_000))
  return { ok: status === 0, output: Buffer.concat(output).toString() }
}

const script = name => run(name, 'npm', ['run', '--silent', name])

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

/** Runs tap, and reads what it has written. */
async function tap (name, args) {
  const file = new URL(`${name}.tap`, results)
  const { ok, output } = await run(`${name} tests`, 'npx', ['tap', '--reporter=silent', `--output-file=${fileURLToPath(file)}`, ...args])
  const collected = { tests: [], failures: [] }
  const parser = new Parser()
  collect(parser, [], collected)
  try {
    await pipeline(createReadStream(file), parser)
  } catch (error) {
    collected.tests.push({ name: `${name} tests`, ok: false, failures: [{ name: String(error) }] })
  }
  const failed = collected.tests.filter(test => !test.ok)
  for (const { name, failures } of failed) console.log(`\nnot ok: ${name}\n${failures.map(({ name, diag }) => `  ${name}\n${JSON.stringify(diag, null, 2)}`).join('\n')}`)
  // Without coverage, say, tap fails though every test has passed.
  if (!ok && failed.length === 0) collected.tests.push({ name: `${name} tests`, ok: false, failures: [] })
  return { tests: collected.tests, output }
}

/** On a machine without these programs their tests are skipped, and what only they cover is not covered. */
const missing = [['redis-server', '--version']].filter(([program, ...args]) => spawnSync(program, args).status !== 0).map(([program]) => program)
const coverage = missing.length === 0 || process.env.CI !== undefined ? [] : ['--allow-incomplete-coverage']

const built = await script('build')
const checks = (async () => {
  const outcomes = [built]
  for (const name of ['lint', 'typecheck', 'check:unused', 'check:package']) outcomes.push(await script(name))
  return outcomes
})()
const unit = await tap('unit', coverage)
console.log(unit.output.split('\n').filter(line => /All files|\|/.test(line) && !/\| *100 \| *100 \| *100 \| *100 \|/.test(line)).join('\n'))
const e2e = await tap('end-to-end', ['--disable-coverage', 'test/e2e/**/*.test.ts', 'test/docs/**/*.test.ts'])
const outcomes = await checks

const tests = [...unit.tests, ...e2e.tests]
const skipped = tests.filter(({ reason }) => reason)
const failed = tests.filter(({ ok, reason }) => !ok && !reason).length + outcomes.filter(({ ok }) => !ok).length
for (const reason of new Set(skipped.map(test => test.reason))) {
  console.log(`skipped, ${reason === true ? 'for no reason given' : reason}: ${skipped.filter(test => test.reason === reason).map(({ name }) => name).join('; ')}`)
}
if (coverage.length > 0) console.log(`coverage is not complete without ${missing.join(', ')}, and was not asked for`)
console.log(`${tests.length - skipped.length - tests.filter(({ ok, reason }) => !ok && !reason).length} passed, ${failed} failed, ${skipped.length} skipped`)
process.exitCode = failed === 0 ? 0 : 1
