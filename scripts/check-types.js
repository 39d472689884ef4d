// Are the types of the packed package those of its code, for every kind of importer? attw says it, once: each of its runs costs a
// compiler, and its command has no setting for what one entry alone may do.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The client is for browsers and bundlers, which know nothing but ES modules; `require` of one works from Node 20.19 on. */
const accepted = [{ kind: 'CJSResolvesToESM', entrypoint: './browser', resolutionKind: 'node16-cjs' }]

const attw = fileURLToPath(import.meta.resolve('@arethetypeswrong/cli/package.json')).replace('package.json', 'dist/index.js')
const { stdout, stderr } = spawnSync(process.execPath, [attw, '--pack', '.', '--format', 'json'], { encoding: 'utf8', maxBuffer: 2 ** 26 })
let analysis
try {
  analysis = JSON.parse(stdout).analysis
} catch (cause) {
  throw new Error(`attw could not look at the package: ${stderr}`, { cause })
}
const { exports } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
if (!analysis.types || Object.keys(exports).some(entry => analysis.entrypoints[entry] === undefined)) throw new Error('attw has not found all entries of the package.')

const same = (one, other) => Object.keys(other).every(key => one[key] === other[key])
const problems = analysis.problems.filter(problem => !accepted.some(known => same(problem, known)))
for (const problem of problems) console.error(JSON.stringify(problem))
const gone = accepted.filter(known => !analysis.problems.some(problem => same(problem, known)))
for (const known of gone) console.error(`no longer a problem: ${JSON.stringify(known)}`)
process.exitCode = problems.length + gone.length === 0 ? 0 : 1
