import { createHash, X509Certificate } from 'node:crypto'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium } from 'playwright-core'
import type { Browser, BrowserContext, LaunchOptions } from 'playwright-core'
import t from 'tap'
import type { Test } from 'tap'

function isProgram (path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function findProgram (...names: string[]): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return folders.flatMap(folder => names.map(name => join(folder, name))).find(isProgram)
}

const named = process.env['CHROMIUM_PATH']
const full = named !== undefined && isProgram(named) ? named : findProgram('chromium', 'chromium-browser', 'google-chrome')

/**
 * Chromium without its windows and menus, as Playwright installs it for headless tests. It takes half the CPU time. If
 * `CHROMIUM_PATH` names a browser, all tests use that one.
 */
const shell = named === undefined ? findProgram('chromium-headless-shell') : undefined

/** For the options of a test: the reason to skip it where there is no browser. In CI there must be one. */
export const withoutBrowser: { skip?: string } = full !== undefined || process.env['CI'] !== undefined
  ? {}
  : { skip: 'no Chromium on PATH nor in CHROMIUM_PATH' }

let shared: Promise<Browser> | undefined

/**
 * The browser of all tests in this process: to start one takes longer than most tests do. Each test has contexts of its own, which are
 * closed when it ends.
 *
 * Every host under `.test` is this machine, and no other host exists. It keeps pages for the back button as it does for its users, which
 * Playwright would turn off. It is the headless shell, if there is one.
 */
export async function startChromium (test: Test): Promise<Browser> {
  shared ??= launch(t, launchOptions(shell ?? full))
  const browser = await shared
  test.teardown(async () => { await Promise.all(browser.contexts().map(async context => context.close())) })
  return browser
}

/** Starts the full browser: the headless shell has no device-bound sessions. */
export async function startFullChromium (t: Test, flags: readonly string[]): Promise<Browser> {
  return launch(t, launchOptions(full, flags))
}

/** Starts the full browser with a profile in a folder, which is there again when it is started again. */
export async function startWithProfile (folder: string, flags: readonly string[]): Promise<BrowserContext> {
  return chromium.launchPersistentContext(folder, launchOptions(full, flags))
}

async function launch (t: Test, options: LaunchOptions): Promise<Browser> {
  const browser = await chromium.launch(options)
  t.teardown(async () => { await browser.close() })
  return browser
}

function launchOptions (path: string | undefined, more: readonly string[] = []): LaunchOptions {
  if (path === undefined) throw new Error('No Chromium on PATH nor in CHROMIUM_PATH, and CI is set')
  return {
    executablePath: path,
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', ...more
    ]
  }
}

/**
 * What makes Chromium bind sessions to keys of its own, without the hardware that has them in production. It binds nothing on a
 * site whose certificate it does not trust, so it is told of this one.
 *
 * @param certificate In PEM.
 */
export function deviceBindingFlags (certificate: string): string[] {
  const { publicKey } = new X509Certificate(certificate)
  const fingerprint = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('base64')
  return [
    '--enable-features=DeviceBoundSessions:RefreshQuota/false,EnableBoundSessionCredentialsSoftwareKeysForManualTesting',
    `--ignore-certificate-errors-spki-list=${fingerprint}`
  ]
}

/** What a browser complained of: errors of scripts, and everything that a Content Security Policy forbade. */
export function complaintsOf (context: BrowserContext): string[] {
  const complaints: string[] = []
  context.on('weberror', error => { complaints.push(error.error().message) })
  context.on('console', message => {
    // An answer with a status of 400 and above is logged as an error, too, and is none here.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) complaints.push(message.text())
  })
  return complaints
}
