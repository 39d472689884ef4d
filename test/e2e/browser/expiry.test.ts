import t from 'tap'
import { startChromium, withoutBrowser } from '../../helpers/browser/chromium.ts'
import { startSite } from '../../helpers/browser/site.ts'
import { accessExpired, loseAccess, newVisitor, seeProfile, signUp, signUpByForm } from '../../helpers/browser/visitor.ts'
import { freePort, startExample, temporaryFolder } from '../../helpers/example-process.ts'

t.setTimeout(300_000)

t.test('A session whose access tokens expire while one watches', withoutBrowser, async t => {
  const browser = await startChromium(t)
  const site = await startSite(t, true, { ACCESS_EXPIRES: '2', REUSE_INTERVAL: '60' })
  const complaints: string[] = []

  await t.test('an access token that has expired is replaced while nobody notices, and the new one is not fresh', async t => {
    const visitor = await newVisitor(t, browser)
    await signUp(site, visitor)
    await accessExpired(visitor)
    await visitor.page.reload()
    await seeProfile(visitor.page, visitor.name)
    t.equal(await visitor.page.locator('#fresh').textContent(), 'No')
    complaints.push(...visitor.complaints)
  })

  await t.test('tabs whose access cookie has expired refresh once, one for the other', async t => {
    const visitor = await newVisitor(t, browser)
    await signUp(site, visitor)
    const second = await visitor.context.newPage()
    await second.goto(`${site.origin}/profile`)
    await seeProfile(second, visitor.name)
    await accessExpired(visitor)
    await Promise.all([visitor.page.reload(), second.reload()])
    await seeProfile(visitor.page, visitor.name)
    await seeProfile(second, visitor.name)
    t.equal(await visitor.page.getByRole('listitem').count(), 1, 'it is one session still')
    complaints.push(...visitor.complaints)
  })

  await t.test('who is signed in stays signed in when the site is stopped and started again', async t => {
    const env = { DATA_FOLDER: await temporaryFolder(t), PORT: String(await freePort()) }
    const before = await startExample(t, 'browser-session/server', env)
    const visitor = await newVisitor(t, browser)
    await signUpByForm({ ...site, origin: before.url }, visitor)
    await before.stop()
    const { url } = await startExample(t, 'browser-session/server', env)
    t.equal(url, before.url)
    await visitor.page.reload()
    await seeProfile(visitor.page, visitor.name)
    complaints.push(...visitor.complaints)
  })

  await t.test('no script failed, and nothing broke the Content Security Policy', async t => {
    t.same(complaints, [])
  })
})

t.test('Ten tabs whose access cookie has expired come back online at the same moment', withoutBrowser, async t => {
  const browser = await startChromium(t)
  const site = await startSite(t, true)
  const visitor = await newVisitor(t, browser)
  const { context } = visitor
  await signUp(site, visitor)
  const others = await Promise.all(Array.from({ length: 9 }, async () => {
    const page = await context.newPage()
    await page.goto(`${site.origin}/profile`)
    await seeProfile(page, visitor.name)
    return page
  }))
  const pages = [visitor.page, ...others]
  await loseAccess(visitor)
  await context.setOffline(true)
  // Each page of the site asks for its account again, with the site's own client.
  const answers = pages.map(page => page.evaluate<{ name: string }>(`import('/api.js').then(({ request }) => new Promise(resolve => {
    window.addEventListener('online', () => resolve(request('GET', '/account')))
  }))`))
  await Promise.all(pages.map(page => page.waitForFunction('!navigator.onLine')))
  const before = site.exchanges.length
  // As many as a browser sends to one host at once over HTTP/1.1.
  site.together('/account', 6)
  await context.setOffline(false)

  t.same((await Promise.all(answers)).map(({ name }) => name), Array(10).fill(visitor.name), 'all ten go on')
  const exchanges = site.exchanges.slice(before)
  t.same(exchanges.filter(({ url }) => url === '/session/refresh').map(({ status }) => status), [204], 'one refresh reached the server')
  const statuses = exchanges.filter(({ url }) => url === '/account').map(({ status }) => status)
  t.equal(statuses.filter(status => status === 200).length, 10)
  t.ok(statuses.filter(status => status === 401).length >= 6, 'at least those that were sent at once had come without a token')
  t.same(visitor.complaints, [])
})
