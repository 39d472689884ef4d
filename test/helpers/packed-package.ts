import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { plainEnvironment } from './example-process.ts'

export const root = fileURLToPath(new URL('../..', import.meta.url))
export const modules = await realpath(join(root, 'node_modules'))
const temporary = await realpath(await mkdtemp(join(tmpdir(), 'fastify-jwt-extended-')))
t.teardown(() => rm(temporary, { recursive: true, force: true }))

export const run = (file: string, args: string[], cwd: string, environment: Record<string, string> = {}) => promisify(execFile)(file, args, {
  cwd, env: plainEnvironment({ npm_config_offline: 'true', npm_config_update_notifier: 'false', ...environment })
})

interface Manifest { name: string, version: string, dependencies: Record<string, string> }
export const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest

/** Packs what was last built into dist/: building here would change it under the other tests. */
async function pack (): Promise<{ tarball: string, files: string[] }> {
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--loglevel=error', '--pack-destination', temporary], root)
  const [packed] = JSON.parse(stdout) as Array<{ filename: string, files: Array<{ path: string }> }>
  return { tarball: join(temporary, packed?.filename ?? ''), files: (packed?.files ?? []).map(({ path }) => path) }
}

const packed = await pack()

/** The files of the package. */
export const files: readonly string[] = packed.files

interface ProjectOptions {
  /** What package.json says of its modules. Default: nothing. */
  type?: 'module' | 'commonjs'
  /** Further packages, by the name that they have in the project: where they are in node_modules. */
  packages?: Record<string, string>
}

/** Makes an empty project with the tarball installed, and its dependencies linked from ours: no network. */
export async function createProject (name: string, sources: Record<string, string>, { type, packages = {} }: ProjectOptions = {}): Promise<string> {
  const directory = join(temporary, name)
  const installed = join(directory, 'node_modules', manifest.name)
  await mkdir(installed, { recursive: true })
  await run('tar', ['-xzf', packed.tarball, '--strip-components=1', '-C', installed], directory)
  const own = [...Object.keys(manifest.dependencies), 'fastify', '@types/node'].map(dependency => [dependency, dependency] as const)
  for (const [dependency, path] of new Map([...own, ...Object.entries(packages)])) {
    const link = join(directory, 'node_modules', dependency)
    await mkdir(dirname(link), { recursive: true })
    await symlink(join(modules, path), link, 'junction')
  }
  await writeFile(join(directory, 'package.json'), JSON.stringify({ name, private: true, type }))
  for (const [file, source] of Object.entries(sources)) {
    await mkdir(dirname(join(directory, file)), { recursive: true })
    await writeFile(join(directory, file), source)
  }
  return directory
}

/** TypeScript 7, and the last version that resolves as TypeScript once did. */
const compilers = { 7: '@typescript/native/bin/tsc', 6: 'typescript/bin/tsc6' }

/** Compiles a project as its tsconfig.json says. @returns What the compiler says of it: nothing if all is well. */
export async function typechecks (directory: string, version: keyof typeof compilers = 7): Promise<string> {
  try {
    return (await run(process.execPath, [join(modules, compilers[version]), '-p', '.'], directory)).stdout
  } catch (error) {
    // A compiler that says nothing has not run.
    const { stdout } = error as { stdout?: string }
    if (!stdout) throw error
    return stdout
  }
}
