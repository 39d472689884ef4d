// What ts-blank-space makes of a file is kept: to load the TypeScript compiler takes a second of each process, and the tests
// start a hundred.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

const cache = new URL('../node_modules/.cache/typescript/', import.meta.url)
mkdirSync(cache, { recursive: true })

async function blank (source) {
  const { default: tsBlankSpace } = await import('ts-blank-space')
  return tsBlankSpace(source, node => { throw new SyntaxError(`Not erasable: ${node.getText().slice(0, 80)}`) })
}

/** The `load` hook of https://nodejs.org/docs/latest-v20.x/api/module.html#loadurl-context-nextload. */
export async function load (url, context, nextLoad) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context)
  const source = readFileSync(new URL(url), 'utf8')
  const cached = new URL(createHash('sha256').update(source).digest('hex'), cache)
  let code
  try {
    code = readFileSync(cached, 'utf8')
  } catch {
    code = await blank(source)
    // Several processes may write the same file: each under a name of its own first.
    const written = new URL(`${cached}.${process.pid}`)
    writeFileSync(written, code)
    renameSync(written, cached)
  }
  return { format: 'module', source: code, shortCircuit: true }
}
