import t from 'tap'
import { startChromium, withoutBrowser } from '../../helpers/browser/chromium.ts'
import { startSite } from '../../helpers/browser/site.ts'
import { newVisitor, seeProfile, seeSignIn, signIn, signUp } from '../../helpers/browser/visitor.ts'
import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import type { Exchange, Site } from '../../helpers/browser/site.ts'
import type { Visitor } from '../../helpers/browser/visitor.ts'

/** Everything that changes something by a POST. */
const actions = ['/session/sign-out', '/session/refresh', '/session/sign-in', '/session/sign-up', '/session/confirm', '/account/password']

/** Submits a form to the site, whose body reads as JSON to a server that does not look at its type. */
async function submitForm (page: Page, action: string, fields: object): Promise<void> {
  const json = JSON.stringify({ ...fields, filler: '' })
  const [name, value] = [json.slice(0, -2), '"}']
  const [response] = await Promise.all([
    page.waitForEvent('response', answer => answer.url() === action),
    page.evaluate(`{
      const form = Object.assign(document.createElement('form'), { method: 'post', action: ${JSON.stringify(action)}, enctype: 'text/plain' })
      const input = Object.assign(document.createElement('input'), { name: ${JSON.stringify(name)}, value: ${JSON.stringify(value)} })
      form.append(input)
      document.body.append(form)
      form.submit()
    }`)
  ])
  // Where the answer has a body, the browser goes there.
  if (response.status() !== 204) await page.waitForURL(action)
}

/** Whatever a script can make of a URL of the site, in words. */
async function read (page: Page, url: string): Promise<Record<string, string>> {
  return await page.evaluate(`(async () => {
    const url = ${JSON.stringify(url)}
    const load = (name, properties) => new Promise(resolve => {
      const element = Object.assign(document.createElement(name), properties)
      element.onload = () => resolve('loaded ' + (element.contentDocument?.body.textContent ?? ''))
      element.onerror = () => resolve('blocked')
      document.body.append(element)
    })
    const get = options => fetch(url, { credentials: 'include', ...options })
      .then(async response => 'got ' + response.type + await response.text(), () => 'blocked')
    return {
      cors: await get({}),
      'no-cors': await get({ mode: 'no-cors' }),
      image: await load('img', { src: url }),
      script: await load('script', { src: url }),
      style: await load('link', { rel: 'stylesheet', href: url }),
      DELETE: await get({ method: 'DELETE' }),
      'POST json': await get({ method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }),
      'POST text': await get({ method: 'POST', mode: 'no-cors', body: '{}' })
    }
  })()`)
}

/** What pages of other origins sent, other than GET, and how it was answered. */
const foreign = (site: Site, from: number): Exchange[] => site.exchanges.slice(from).filter(({ method, origin }) =>
  method !== 'GET' && origin !== undefined && origin !== site.origin)

async function attack (t: Test, site: Site, visitor: Visitor, attacker: Visitor, attackersOrigin: string, sameSite: boolean): Promise<void> {
  const before = site.exchanges.length
  const page = await visitor.context.newPage()
  await page.goto(attackersOrigin)

  for (const path of ['/account', '/devices', '/session/sign-out']) {
    const seen = await read(page, site.origin + path)
    for (const [how, what] of Object.entries(seen)) {
      t.notOk(what.includes(visitor.name) || what.startsWith('got basic') || what.startsWith('got cors'), `${how} of ${path} reads nothing`)
    }
  }

  // Signing in is worth an attack, too: the visitor would go on, unaware, in the attacker's account.
  const fields = { name: attacker.name, password: attacker.password }
  for (const action of actions) {
    await page.goto(attackersOrigin)
    await submitForm(page, site.origin + action, fields)
  }
  await page.close()

  const answers = foreign(site, before)
  const posts = answers.filter(({ method }) => method === 'POST')
  t.same(actions.filter(action => !posts.some(({ url }) => url === action)), [], 'every form arrived')
  const refused = [401, 403, 404]
  t.same(answers.filter(({ status }) => !refused.includes(status)), [], 'and each was refused')
  t.same(answers.flatMap(({ setCookie }) => setCookie), [], 'no cookie was set or cleared')
  const withCookie = posts.filter(({ cookie }) => cookie.includes('access'))
  if (sameSite) {
    // A sub-domain is the same site, so SameSite lets the cookies through, and only the check of the origin is left.
    t.ok(withCookie.length >= actions.length, 'though the cookies came along')
    t.same(withCookie.filter(({ url, status }) => actions.includes(url) && status !== 403), [])
  } else {
    t.same(withCookie, [], 'since the browser kept the cookies back')
  }
}

t.setTimeout(300_000)

t.test('A page of another origin', withoutBrowser, async t => {
  const browser = await startChromium(t)
  for (const secure of [true, false]) {
    await t.test(secure ? 'over HTTPS, where the browser sends Sec-Fetch-Site' : 'over plain HTTP, where it sends Origin only', async t => {
      const site = await startSite(t, secure)
      const visitor = await newVisitor(t, browser)
      await signUp(site, visitor)
      const attacker = await newVisitor(t, browser)
      await signUp(site, attacker)
      const { page } = visitor

      await t.test('on another site neither acts nor reads', async t => {
        await attack(t, site, visitor, attacker, site.crossSite, false)
      })

      await t.test('on a sub-domain of the same site neither acts nor reads', async t => {
        await attack(t, site, visitor, attacker, site.sameSite, true)
      })

      await t.test('was told apart by what the browser says of itself', async t => {
        const posts = foreign(site, 0).filter(({ method }) => method === 'POST')
        t.same([...new Set(posts.map(({ fetchSite }) => fetchSite))].sort(), secure ? ['cross-site', 'same-site'] : [undefined])
        t.same([...new Set(posts.map(({ origin }) => origin))].sort(), [site.crossSite, site.sameSite].sort())
      })

      await t.test('can put no page of the site into a frame', async t => {
        await page.goto(site.sameSite)
        const [refusal] = await Promise.all([
          page.waitForEvent('console', message => message.text().includes('frame-ancestors')),
          page.evaluate(`document.body.append(Object.assign(document.createElement('iframe'), { src: ${JSON.stringify(`${site.origin}/profile`)} }))`)
        ])
        t.equal(refusal.type(), 'error')
      })

      await t.test('has left everything as it was', async t => {
        await page.goto(`${site.origin}/profile`)
        await seeProfile(page, visitor.name)
        t.equal(await page.getByRole('listitem').count(), 1)
        t.equal(await page.locator('#fresh').textContent(), 'Yes')
      })

      await t.test('could do all that if it were of the same origin', async t => {
        const before = site.exchanges.length
        await submitForm(page, `${site.origin}/session/sign-out`, {})
        const [signOut] = site.exchanges.slice(before).filter(({ method }) => method === 'POST')
        // A type of body that the site does not take, so that only its origin speaks for it; signing out needs no body.
        t.match(signOut, { url: '/session/sign-out', origin: site.origin, status: 204 })
        t.same(await visitor.context.cookies(), [])
        await page.goto(`${site.origin}/profile`)
        await seeSignIn(page)
        await signIn(site, visitor)
      })

      await t.test('made the server print no token', async t => {
        const output = site.output()
        t.ok(site.tokens().length >= 4)
        t.same(site.tokens().filter(token => output.includes(token)), [])
        t.notOk(/eyJ[\w-]+\.eyJ/.test(output))
      })
    })
  }
})
