import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const cache = new URL('../../node_modules/.cache/strip-types/', import.meta.url)
mkdirSync(cache, { recursive: true })

async function strip (source, filename) {
  const { transformSync } = await import('@swc/wasm-typescript')
  return transformSync(source, { filename, mode: 'strip-only', module: true }).code
}

/** The `load` hook of https://nodejs.org/docs/latest-v20.x/api/module.html#loadurl-context-nextload. */
export async function load (url, context, nextLoad) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context)
  const filename = fileURLToPath(url)
  const source = readFileSync(filename, 'utf8')
  const cached = new URL(createHash('sha256').update(source).digest('hex'), cache)
  let code
  try {
    code = readFileSync(cached, 'utf8')
  } catch {
    code = await strip(source, filename)
    // Several processes may write the same file: each under a name of its own first.
    const written = new URL(`${cached}.${process.pid}`)
    writeFileSync(written, code)
    renameSync(written, cached)
  }
  return { format: 'module', source: code, shortCircuit: true }
}
