// The site that `npm run docs` builds: every page of docs/, and the reference.
import { readdirSync } from 'node:fs'

// In this order. Pages that are not named come after these.
const order = [
  'getting-started', 'guide-api', 'guide-site', 'guide-front-end-and-api', 'guide-mobile-app', 'guide-several-services', 'recipes', 'problems',
  'cookies-and-csrf', 'freshness', 'sessions', 'browser', 'device-bound-sessions', 'websockets', 'revocation', 'sqlite',
  'postgresql', 'redis', 'many-servers', 'proxy', 'observability', 'performance', 'roles', 'whole-app', 'nestjs', 'openapi', 'keys', 'issuers', 'resource-server', 'dpop', 'options', 'errors', 'testing'
]
const last = ['from-fastify-jwt', 'from-flask-jwt-extended', 'from-bustapi']

const place = name => last.includes(name) ? order.length + 1 + last.indexOf(name) : order.includes(name) ? order.indexOf(name) : order.length
const pages = readdirSync(new URL('docs/', import.meta.url))
  .filter(file => file.endsWith('.md'))
  .map(file => file.slice(0, -'.md'.length))
  .sort((one, other) => place(one) - place(other) || one.localeCompare(other))
  .map(name => `docs/${name}.md`)

/** @type {Partial<import('typedoc').TypeDocOptions>} */
export default {
  name: 'fastify-jwt-extended',
  entryPoints: ['lib/index.ts', 'lib/browser/fetch.ts', 'lib/stores/sqlite/store.ts', 'lib/stores/postgres/store.ts', 'lib/stores/redis/store.ts', 'lib/stores/contract.ts'],
  projectDocuments: [...pages, 'examples/README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
  out: 'docs/api',
  readme: 'README.md',
  excludeInternal: true,
  excludeExternals: true,
  sort: ['source-order'],
  skipErrorChecking: true,
  tsconfig: 'tsconfig.docs.json',
  intentionallyNotExported: ['NodeRedisOptions'],
  highlightLanguages: ['bash', 'css', 'html', 'http', 'javascript', 'json', 'mermaid', 'python', 'shellscript', 'typescript', 'yaml'],
  plugin: ['./scripts/typedoc-titles.js'],
  searchInDocuments: true,
  searchInComments: true
}
