// Reads a log of `npm cit` and prints its last line as CI wants it: the assertions passed and failed, of all runs of tap.
import { readFileSync } from 'node:fs'

const [file, status] = process.argv.slice(2)
const totals = [...readFileSync(file, 'utf8').matchAll(/^# \{ total: .*\}$/gm)]
const count = name => totals.reduce((sum, [line]) => sum + Number(new RegExp(`\\b${name}: (\\d+)`).exec(line)?.[1] ?? 0), 0)

const skipped = count('skip') + count('todo')
// A run that died before tap could count has failed at one thing at least.
const failed = count('fail') || (status === '0' ? 0 : 1)
console.log(`${count('pass')} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
