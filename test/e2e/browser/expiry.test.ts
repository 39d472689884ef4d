import t from 'tap'
import { startChromium, withoutBrowser } from '../../helpers/browser/chromium.ts'
import { startSite } from '../../helpers/browser/site.ts'
import { freePort, startExample, temporaryFolder } from '../../helpers/example-process.ts'
import { accessExpired, newVisitor, seeProfile, signUp, signUpByForm } from '../../helpers/browser/visitor.ts'

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

  await t.test('two tabs whose access cookie has expired refresh at the same moment, and both stay signed in', async t => {
    const visitor = await newVisitor(t, browser)
    await signUp(site, visitor)
    const second = await visitor.context.newPage()
    await second.goto(`${site.origin}/profile`)
    await seeProfile(second, visitor.name)

    for (const round of ['once', 'and once more']) {
      await accessExpired(visitor)
      const before = site.exchanges.length
      site.together('/session/refresh', 2)
      await Promise.all([visitor.page.reload(), second.reload()])
      await seeProfile(visitor.page, visitor.name)
      await seeProfile(second, visitor.name)
      const refreshes = site.exchanges.slice(before).filter(({ url }) => url === '/session/refresh')
      t.same(refreshes.slice(0, 2).map(({ status }) => status), [204, 204], round)
      const [one, other] = refreshes.map(({ cookie, setCookie }) =>
        ({ sent: cookie, got: setCookie.find(text => text.startsWith('__Secure-refresh'))?.split(';')[0] }))
      t.equal(one?.sent, other?.sent, 'both came with the same token')
      t.type(one?.got, 'string')
      t.equal(one?.got, other?.got, 'and got the same successor')
    }
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
