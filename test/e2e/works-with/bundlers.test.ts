import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import t from 'tap'
import { temporaryFolder } from '../../helpers/example-process.ts'
import { createProject, modules, run } from '../../helpers/packed-package.ts'
import { printed, program } from '../../helpers/packed-program.ts'
import type { Test } from 'tap'

const project = createProject('bundlers', {
  'server.js': program,
  'vite.config.js': "export default { build: { ssr: 'server.js', target: 'node20' }, ssr: { noExternal: true }, logLevel: 'warn' }"
}, { type: 'module' })

/** Runs a bundle where there is no package: all that it needs is in it. */
async function runAlone (t: Test, bundle: string, name: string): Promise<unknown> {
  const folder = await temporaryFolder(t)
  await cp(bundle, join(folder, name))
  const { stdout, stderr } = await run(process.execPath, [name], folder)
  t.equal(stderr, '')
  return JSON.parse(stdout)
}

// Fastify calls `require`, which a bundle that is an ES module does not have by itself.
const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" }
for (const [format, options] of Object.entries({ cjs: {}, esm: { banner, minify: true } })) {
  t.test(`esbuild: a server in one file, as ${format}`, async t => {
    const directory = await project
    const outfile = join(directory, `out.${format}`)
    const { warnings } = await build({ absWorkingDir: directory, entryPoints: ['server.js'], bundle: true, platform: 'node', format: format as 'cjs' | 'esm', outfile, ...options })
    t.strictSame(warnings, [])
    t.strictSame(await runAlone(t, outfile, format === 'cjs' ? 'server.cjs' : 'server.mjs'), printed)
  })
}

t.test('Vite: a server in one file, as `vite build --ssr` makes it', async t => {
  const directory = await project
  // In a process of its own, since it sets NODE_ENV.
  await run(process.execPath, [join(modules, 'vite/bin/vite.js'), 'build'], directory)
  t.strictSame(await runAlone(t, join(directory, 'dist/server.js'), 'server.mjs'), printed)
})
