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
import { RedisStore } from 'fastify-jwt-extended/redis'
import type {} from '@fastify/cookie'
declare const app: FastifyInstance
declare const fastify: FastifyInstance
declare const request: FastifyRequest
declare const reply: FastifyReply
const { ${['anyOf', 'allOf', 'authenticationOf', 'crossOriginProtection', 'freshJwtRequired', 'guard', 'jwtOf', 'jwtOptional', 'jwtRequired', 'not', 'permission', 'refreshTokenRequired', 'role', 'scope', 'verifyJwt', 'MemoryStore'].join(', ')} } = exported
`

/** What the pages use of frameworks that are no dependencies of ours. */
const frameworks = `
declare module 'react' {
  export function useState (initial: unknown): [any, (value: unknown) => void]
  export function useEffect (effect: () => () => void, dependencies: unknown[]): void
}
declare module 'vue' {
  export function ref (initial: unknown): { value: any }
  export function onMounted (hook: () => void): void
}
`

/** Pages whose code is quoted from a program, which is compiled where it stands, since it is compiled otherwise. */
const quotedFrom = new Map([['docs/nestjs.md', 'examples/nestjs']])

/** Pages for browsers have the types of the DOM. */
const forBrowsers = new Set(['docs/browser.md'])

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

/** A block to compile, and where it stands. */
interface Snippet { page: string, line: number, language: string, code: string }

/** Whether a block is a part of a program: it imports no more than types. */
function isFragment ({ page, language, code }: Snippet): boolean {
  if (/^declare module/m.test(code) || (language === 'js' && forBrowsers.has(page))) return false
  return [...code.matchAll(/^import (type )?/gm)].every(match => match[1] !== undefined)
}

function sourceOf (snippet: Snippet): string {
  const { code } = snippet
  if (!isFragment(snippet)) return code
  // A fragment brings its own lines in a scope of their own, so that it may name things as it likes.
  const imports = [...code.matchAll(/^import .*$/gm)].map(match => match[0]).join('\n')
  return `${prelude}\n${imports}\n{\n${code.replace(/^import .*$/gm, '')}\n}\n`
}

/** In JavaScript what is of no type may be used, as `request.body` is, and what may be `null`; a text in a variable may be a name. */
const fineInJavaScript = /type 'unknown'|'\w+ \| (?:null|undefined)'|possibly '(?:null|undefined)'|implicitly has (?:an|type) 'any'|Type 'string' is not assignable to type 'Algorithm'/

/** Compiles snippets together. @returns What is wrong, by page. */
function compile (snippets: readonly Snippet[], more: ts.CompilerOptions = {}): Map<string, string[]> {
  const files = new Map(snippets.map((snippet, i) =>
    [join(root, 'test', 'docs', `${basename(snippet.page, '.md')}-${i}.${snippet.language === 'js' && !isFragment(snippet) ? 'mjs' : 'mts'}`), snippet]))
  const ambient = join(root, 'test', 'docs', 'frameworks.d.ts')
  host.fileExists = file => files.has(file) || ts.sys.fileExists(file)
  host.readFile = file => ts.sys.readFile(file)
  host.getSourceFile = (file, languageVersion, ...rest) => {
    const snippet = files.get(file)
    if (snippet !== undefined) return ts.createSourceFile(file, sourceOf(snippet), languageVersion, true)
    if (file === ambient) return ts.createSourceFile(file, frameworks, languageVersion)
    if (!parsed.has(file)) parsed.set(file, readFromDisk(file, languageVersion, ...rest))
    return parsed.get(file)
  }
  const program = ts.createProgram({ rootNames: [...files.keys(), ambient], options: { ...options, ...more }, host })
  const faults = new Map<string, string[]>()
  for (const [file, { page, line, language }] of files) {
    const source = program.getSourceFile(file)
    for (const { messageText, start } of [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]) {
      const message = ts.flattenDiagnosticMessageText(messageText, ' ')
      if (language === 'js' && fineInJavaScript.test(message)) continue
      const shown = source?.text.slice(start).split('\n')[0]
      faults.set(page, [...faults.get(page) ?? [], `${page}, block at line ${line}: ${message} (${shown})`])
    }
  }
  return faults
}

const snippets: Snippet[] = pages.flatMap(page => blocksOf(page)
  .filter(({ language }) => ['ts', 'js'].includes(language))
  .map(block => ({ page, ...block })))

const compiled = snippets.filter(({ page }) => !quotedFrom.has(page))

// A page that declares claims or users of its own would declare them for all: it is compiled apart.
const declaring = new Set(snippets.filter(({ code }) => code.includes('declare module')).map(({ page }) => page))
const faults = [
  compile(compiled.filter(({ page }) => !declaring.has(page) && !forBrowsers.has(page))),
  compile(compiled.filter(({ page }) => forBrowsers.has(page)), { lib: ['lib.es2023.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'] }),
  ...[...declaring].map(page => compile(snippets.filter(snippet => snippet.page === page)))
]

for (const page of pages) {
  t.test(`the code of ${page} compiles`, async t => {
    t.same(faults.flatMap(found => found.get(page) ?? []), [])
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

for (const [page, folder] of quotedFrom) {
  t.test(`the code of ${page} is that of ${folder}`, async t => {
    const files = readdirSync(join(root, folder)).filter(name => name.endsWith('.ts')).map(name => readFileSync(join(root, folder, name), 'utf8'))
    const quoted = snippets.filter(snippet => snippet.page === page)
    t.ok(quoted.length > 0)
    for (const { code, line } of quoted) {
      // An empty line may stand for what is left out.
      for (const part of code.split('\n\n')) t.ok(files.some(text => text.includes(part.trimEnd())), `the block at line ${line}: ${part}`)
    }
  })
}

t.test('every language of a code block is one that is checked', async t => {
  const known = new Set(['ts', 'js', 'json', 'sh', 'http', 'mermaid', 'text', 'python'])
  for (const page of pages) {
    for (const { language, line } of blocksOf(page)) t.ok(known.has(language), `${page}, line ${line}: ${language}`)
  }
})
