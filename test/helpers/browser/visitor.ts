import { randomUUID } from 'node:crypto'
import { complaintsOf } from './chromium.ts'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import type { Test } from 'tap'
import type { Site } from './site.ts'

/** Somebody with a browser of their own. */
export interface Visitor {
  name: string
  password: string
  context: BrowserContext
  page: Page
  userAgent: string | undefined
  /** Errors of scripts, and what the Content Security Policy forbade. */
  complaints: string[]
}

export async function newVisitor (t: Test, browser: Browser, options: BrowserContextOptions = {}): Promise<Visitor> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options })
  context.setDefaultTimeout(60_000)
  t.teardown(async () => { await context.close() })
  const name = `visitor-${randomUUID().slice(0, 8)}`
  return { name, password: `correct horse ${name}`, context, page: await context.newPage(), userAgent: options.userAgent, complaints: complaintsOf(context) }
}

/** Signs up by the form, as a person would. */
export async function signUpByForm ({ origin }: Site, { page, name, password }: Visitor): Promise<void> {
  await page.goto(`${origin}/sign-up`)
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Create account' }).click()
  await seeProfile(page, name)
}

/** Signs in by the form. */
export async function signInByForm ({ origin }: Site, { page, name, password }: Visitor): Promise<void> {
  await page.goto(origin)
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await seeProfile(page, name)
}

/** Gives a visitor's browser the cookies of a new account, where the form is not what is looked at. */
export async function signUp (site: Site, visitor: Visitor): Promise<void> {
  await startSession(site, visitor, '/session/sign-up')
}

/** Gives a visitor's browser the cookies of a new session. */
export async function signIn (site: Site, visitor: Visitor): Promise<void> {
  await startSession(site, visitor, '/session/sign-in')
}

async function startSession (site: Site, { context, page, name, password, userAgent }: Visitor, path: string): Promise<void> {
  // The sign-in page asks whether somebody is signed in, and goes on to the profile by itself if that is answered late.
  await page.goto('about:blank')
  const { status, body, setCookie } = await site.send('POST', path, { body: { name, password }, ...(userAgent === undefined ? {} : { userAgent }) })
  if (setCookie.length !== 2) throw new Error(`${path} answered ${status}: ${body}`)
  await context.addCookies(setCookie.map(line => {
    const [, cookie = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
    return {
      name: cookie,
      value,
      domain: new URL(site.origin).hostname,
      path: /Path=([^;]+)/.exec(line)?.[1] ?? '/',
      expires: Date.now() / 1000 + Number(/Max-Age=(\d+)/.exec(line)?.[1]),
      httpOnly: line.includes('HttpOnly'),
      secure: line.includes('Secure'),
      sameSite: 'Strict' as const
    }
  }))
  await page.goto(`${site.origin}/profile`)
  const before = site.exchanges.length
  try {
    await seeProfile(page, name)
  } catch (error) {
    const exchanges = site.exchanges.slice(Math.max(before - 15, 0)).map(({ method, url, status }) => `${method} ${url} ${status}`)
    throw new Error(`${String(error)}\nWhat came to the site: ${exchanges.join(', ')}`, { cause: error })
  }
}

/** Waits until the page greets its owner. */
export async function seeProfile (page: Page, name: string): Promise<void> {
  await see(page, `Hello, ${name}`)
}

/** Waits for a heading. If it does not come, the error says what is there. */
async function see (page: Page, heading: string): Promise<void> {
  try {
    await page.getByRole('heading', { name: heading }).waitFor()
  } catch (error) {
    const html = await page.content().catch(String)
    throw new Error(`No '${heading}' on ${page.url()}:\n${html}`, { cause: error })
  }
}

/** Waits until nobody is signed in on a page. */
export async function seeSignIn (page: Page): Promise<void> {
  await see(page, 'Sign in')
}

/** Waits until the browser has thrown the access cookie away, since its time was up. */
export async function accessExpired ({ context, page }: Pick<Visitor, 'context' | 'page'>): Promise<void> {
  while ((await context.cookies()).some(({ name }) => name.endsWith('access'))) await page.waitForTimeout(50)
}

/** Takes the access cookie away and with it the fresh token, as the browser does when its time is up. */
export async function loseAccess ({ context }: Visitor): Promise<void> {
  await context.clearCookies({ name: /access$/ })
}

export async function cookieHeader (context: BrowserContext): Promise<string> {
  return (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ')
}
