// What README and docs show is compiled here, so that it can't rot.
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'

const root = fileURLToPath(new URL('../../', import.meta.url))
const pages = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', ...readdirSync(join(root, 'docs')).filter(name => name.endsWith('.md')).map(name => `docs/${name}`)]

interface Block { language: string, code: string, line: number }

function blocksOf (page: string): Block[] {
  const text = readFileSync(join(root, page), 'utf8')
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(match => ({
    language: match[1] as string,
    code: match[2] as string,
    line: text.slice(0, match.index).split('\n').length
  }))
}

/** What a fragment that imports nothing may take for granted: an app with the plugin, and what the module exports. */
const prelude = `
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import jwt, * as exported from 'fastify-jwt-extended'
declare const app: FastifyInstance
declare const fastify: FastifyInstance
declare const request: FastifyRequest
declare const reply: FastifyReply
const { ${['anyOf', 'allOf', 'crossOriginProtection', 'freshJwtRequired', 'guard', 'jwtOptional', 'jwtRequired', 'not', 'permission', 'refreshTokenRequired', 'role', 'scope', 'verifyJwt', 'MemoryStore', 'RedisStore'].join(', ')} } = exported
`

const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  lib: ['lib.es2023.d.ts'],
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  allowJs: true,
  checkJs: true,
  skipLibCheck: true,
  noEmit: true,
  allowImportingTsExtensions: true,
  moduleDetection: ts.ModuleDetectionKind.Force
}

const host = ts.createCompilerHost(options)
const parsed = new Map<string, ts.SourceFile | undefined>()
const readFromDisk = host.getSourceFile.bind(host)
let program: ts.Program | undefined

/** Compiles the blocks of one page together; pages apart, for each may declare claims of its own. */
function compile (page: string, blocks: readonly Block[]): string[] {
  const sources = new Map(blocks.map(({ language, code }, i) => {
    const extension = language === 'js' ? 'mjs' : 'mts'
    const imports = /^import /m.test(code)
    const typeOnly = !imports || [...code.matchAll(/^import (type )?/gm)].every(match => match[1] !== undefined)
    // A fragment brings its own lines in a scope of their own, so that it may name things as it likes.
    const text = !typeOnly || language === 'js' || /^declare module/m.test(code)
      ? code
      : `${prelude}\n${[...code.matchAll(/^import .*$/gm)].map(match => match[0]).join('\n')}\n{\n${code.replace(/^import .*$/gm, '')}\n}\n`
    return [join(root, 'test', 'docs', `${basename(page, '.md')}-${i}.${extension}`), text]
  }))
  host.fileExists = file => sources.has(file) || ts.sys.fileExists(file)
  host.readFile = file => sources.get(file) ?? ts.sys.readFile(file)
  host.getSourceFile = (file, languageVersion, ...rest) => {
    const text = sources.get(file)
    if (text !== undefined) return ts.createSourceFile(file, text, languageVersion, true)
    if (!parsed.has(file)) parsed.set(file, readFromDisk(file, languageVersion, ...rest))
    return parsed.get(file)
  }
  program = ts.createProgram({ rootNames: [...sources.keys()], options, host, ...(program === undefined ? {} : { oldProgram: program }) })
  const diagnostics = [...sources.keys()].flatMap(file => {
    const source = program?.getSourceFile(file)
    return [...(program?.getSyntacticDiagnostics(source) ?? []), ...(program?.getSemanticDiagnostics(source) ?? [])]
  })
  return diagnostics.map(({ file, messageText, start }) => {
    const index = Number(/-(\d+)\.m[tj]s$/.exec(file?.fileName ?? '')?.[1])
    const shown = file === undefined || start === undefined ? '' : file.text.slice(start).split('\n')[0]
    return `${page}, block at line ${blocks[index]?.line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')} (${shown})`
  })
}

for (const page of pages) {
  t.test(`the code of ${page} compiles`, async t => {
    const code = blocksOf(page).filter(({ language }) => ['ts', 'js', 'typescript', 'javascript'].includes(language))
    t.same(code.length === 0 ? [] : compile(page, code), [])
  })

  t.test(`the commands and data of ${page} are ones that exist`, async t => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
    for (const { language, code } of blocksOf(page)) {
      if (language === 'json') t.doesNotThrow(() => { JSON.parse(code) })
      if (language !== 'sh') continue
      for (const [, name] of code.matchAll(/npm run ([\w:-]+)/g)) t.ok(Object.hasOwn(scripts, name as string), `npm run ${name}`)
    }
  })
}

t.test('every language of a code block is one that is checked', async t => {
  const known = new Set(['ts', 'js', 'json', 'sh', 'http', 'mermaid', 'text', 'python'])
  for (const page of pages) {
    for (const { language, line } of blocksOf(page)) t.ok(known.has(language), `${page}, line ${line}: ${language}`)
  }
})
