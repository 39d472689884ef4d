import t from 'tap'
import { startChromium, withoutBrowser } from '../../helpers/browser/chromium.ts'
import { startSite } from '../../helpers/browser/site.ts'
import { cookieHeader, loseAccess, newVisitor, seeProfile, seeSignIn, signIn, signInByForm, signUp, signUpByForm } from '../../helpers/browser/visitor.ts'

t.setTimeout(300_000)

t.test('A session in a browser, behind a proxy that ends TLS', withoutBrowser, async t => {
  const browser = await startChromium(t)
  // A reuse interval that one can wait for.
  const site = await startSite(t, true, { REUSE_INTERVAL: '1' })
  const complaints: string[] = []

  await t.test('no script can see a token, signed in or not', async t => {
    const visitor = await newVisitor(t, browser)
    await signUpByForm(site, visitor)
    const cookies = (await visitor.context.cookies()).sort((one, other) => one.name.localeCompare(other.name))
    t.match(cookies.map(({ name, httpOnly, secure, sameSite, path }) => ({ name, httpOnly, secure, sameSite, path })), [
      { name: '__Host-access', httpOnly: true, secure: true, sameSite: 'Strict', path: '/' },
      { name: '__Secure-refresh', httpOnly: true, secure: true, sameSite: 'Strict', path: '/session' }
    ], 'the browser holds both, under names that vouch for how they were set')
    t.equal(await visitor.page.evaluate('document.cookie'), '')
    t.equal(await visitor.page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }])'), '[{},{}]')
    const html = await visitor.page.content()
    for (const { value } of cookies) t.notOk(html.includes(value), 'nor is one in the page')

    await visitor.page.goto(`${site.origin}/session/nothing-here`)
    t.equal(await visitor.page.evaluate('document.cookie'), '', 'nor where the refresh cookie is sent to')
    complaints.push(...visitor.complaints)
  })

  await t.test('the refresh token travels to the routes that need it, and with no other request', async t => {
    const withRefresh = site.exchanges.filter(({ cookie }) => cookie.includes('refresh'))
    t.ok(withRefresh.length > 0)
    t.same(withRefresh.filter(({ url }) => !/^\/session(?:$|\/)/.test(url)), [])
  })

  await t.test('changing the password asks for the old one again, and signs the other devices out', async t => {
    const visitor = await newVisitor(t, browser)
    await signUp(site, visitor)
    const elsewhere = await newVisitor(t, browser)
    await signIn(site, { ...elsewhere, name: visitor.name, password: visitor.password })
    await loseAccess(visitor)

    const { page } = visitor
    await page.getByLabel('New password').fill('a new and longer password')
    await page.getByRole('button', { name: 'Change password' }).click()
    const dialog = page.getByRole('dialog', { name: 'Is it you?' })
    await dialog.getByLabel('Password').fill('not my password')
    await dialog.getByRole('button', { name: 'Confirm' }).click()
    await dialog.getByRole('alert').getByText('Wrong password').waitFor()
    await dialog.getByLabel('Password').fill(visitor.password)
    await dialog.getByRole('button', { name: 'Confirm' }).click()
    await page.getByText('The password is changed. 1 other device was signed out.').waitFor()
    await seeProfile(page, visitor.name)

    await elsewhere.page.reload()
    await seeSignIn(elsewhere.page)
    await signInByForm(site, { ...elsewhere, name: visitor.name, password: 'a new and longer password' })
    complaints.push(...visitor.complaints, ...elsewhere.complaints)
  })

  await t.test('closing the dialog changes nothing', async t => {
    const visitor = await newVisitor(t, browser)
    await signUp(site, visitor)
    await loseAccess(visitor)
    await visitor.page.getByLabel('New password').fill('a new and longer password')
    await visitor.page.getByLabel('New password').press('Enter')
    await visitor.page.getByRole('dialog', { name: 'Is it you?' }).waitFor()
    await visitor.page.keyboard.press('Escape')
    await visitor.page.getByText('The password was not changed.').waitFor()
    await visitor.page.getByRole('button', { name: 'Sign out', exact: true }).click()
    await seeSignIn(visitor.page)
    await signIn(site, visitor)
    complaints.push(...visitor.complaints)
  })

  await t.test('a stolen refresh cookie, used from another browser, ends the session in both', async t => {
    const owner = await newVisitor(t, browser)
    await signUp(site, owner)
    const thief = await newVisitor(t, browser)
    await thief.context.addCookies(await owner.context.cookies())
    await thief.page.goto(`${site.origin}/profile`)
    await seeProfile(thief.page, owner.name)
    await thief.page.getByRole('button', { name: 'Renew now' }).click()
    await thief.page.getByText('Access is renewed.').waitFor()

    // The owner comes back when the theft can't be taken for a race of two tabs any more.
    await owner.page.waitForTimeout(1500)
    const before = site.exchanges.length
    await owner.page.getByRole('button', { name: 'Renew now' }).click()
    await seeSignIn(owner.page)
    t.ok(site.exchanges.slice(before).some(({ url, status }) => url === '/session/refresh' && status === 401))
    await thief.page.reload()
    await seeSignIn(thief.page)
    t.equal((await site.send('POST', '/session/refresh', { cookie: await cookieHeader(thief.context) })).status, 401)
    t.match(site.output(), 'Refresh token reused, session ended')
    complaints.push(...owner.complaints, ...thief.complaints)
  })

  await t.test('after signing out, the back button and a replayed request get nothing', async t => {
    const visitor = await newVisitor(t, browser)
    await signUp(site, visitor)
    const { page } = visitor
    const stolen = await cookieHeader(visitor.context)
    // Away from the profile, to have something to go back to; then out, in another tab.
    await page.goto(`${site.origin}/latchkey.svg`)
    const second = await visitor.context.newPage()
    await second.goto(`${site.origin}/profile`)
    await seeProfile(second, visitor.name)
    const last = await cookieHeader(visitor.context)
    await second.getByRole('button', { name: 'Sign out', exact: true }).click()
    await seeSignIn(second)
    t.same(await visitor.context.cookies(), [], 'the browser has no cookie any more')

    const seen: string[] = []
    page.on('response', response => { seen.push(`${response.status()} ${new URL(response.url()).pathname}`) })
    await page.goBack()
    await seeSignIn(page)
    t.notOk((await page.content()).includes(visitor.name))
    t.ok(seen.includes('200 /session'), 'the page has asked whether somebody is signed in')
    t.notOk(seen.includes('200 /account'))
    await second.goBack()
    t.notOk((await second.content()).includes(visitor.name))

    for (const cookie of [stolen, last]) {
      for (const [method, path] of [['GET', '/account'], ['GET', '/devices'], ['POST', '/account/password'], ['DELETE', '/devices'], ['POST', '/session/refresh']] as const) {
        const { status, body } = await site.send(method, path, { cookie })
        t.equal(status, 401, `${method} ${path}`)
        t.notOk(body.includes(visitor.name))
      }
    }
    complaints.push(...visitor.complaints)
  })

  await t.test('a page that the browser keeps for the back button is not shown to the next person', async t => {
    const visitor = await newVisitor(t, browser)
    await signUp(site, visitor)
    await visitor.page.evaluate('document.title = "kept"')
    await visitor.page.evaluate("document.querySelector('.brand').href = '/sign-up'")
    await visitor.page.getByRole('link', { name: 'Latchkey' }).click()
    await visitor.page.getByRole('heading', { name: 'Create an account' }).waitFor()
    await visitor.context.clearCookies()
    await visitor.page.goBack()
    await seeSignIn(visitor.page)
    t.notOk((await visitor.page.content()).includes(visitor.name))
  })

  await t.test('the list of devices shows each browser, and signs one out, or all', async t => {
    const laptop = await newVisitor(t, browser, { userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' })
    const phone = await newVisitor(t, browser, { userAgent: '<img src=x onerror=alert(1)> iPhone Safari' })
    await signUp(site, laptop)
    const owner = { name: laptop.name, password: laptop.password }
    await signIn(site, { ...phone, ...owner })

    await laptop.page.reload()
    const items = laptop.page.getByRole('listitem')
    await items.nth(1).waitFor()
    t.match(await items.nth(0).textContent(), /Safari on iPhone.*<img src=x.*203\.0\.113\.7/, 'what a browser calls itself is text')
    t.match(await items.nth(1).textContent(), /Firefox on Linux.*This device/)
    await laptop.page.getByRole('button', { name: 'Sign out Safari on iPhone' }).click()
    await laptop.page.getByText('Safari on iPhone is signed out.').waitFor()
    t.equal(await items.count(), 1)
    await phone.page.reload()
    await seeSignIn(phone.page)

    await signIn(site, { ...phone, ...owner })
    await laptop.page.getByRole('button', { name: 'Sign out everywhere' }).click()
    await seeSignIn(laptop.page)
    await phone.page.reload()
    await seeSignIn(phone.page)
    complaints.push(...laptop.complaints, ...phone.complaints)
  })

  await t.test("nobody signs out somebody else's device", async t => {
    const victim = await newVisitor(t, browser)
    await signUp(site, victim)
    const list = await victim.page.evaluate<{ devices: { id: string }[] }>("fetch('/devices').then(response => response.json())")
    const id = list.devices[0]?.id ?? ''
    t.not(id, '')
    const other = await newVisitor(t, browser)
    await signUp(site, other)
    t.equal(await other.page.evaluate(`fetch('/devices/${id}', { method: 'DELETE' }).then(response => response.status)`), 404)
    await victim.page.reload()
    await seeProfile(victim.page, victim.name)
  })

  await t.test('a wrong password and a name that nobody has get the same answer', async t => {
    const visitor = await newVisitor(t, browser)
    await signUp(site, visitor)
    const { page, context } = visitor
    await context.clearCookies()
    await page.goto(site.origin)
    const answers: (string | null)[] = []
    for (const name of [visitor.name, 'nobody-at-all']) {
      await page.getByLabel('Name').fill(name)
      await page.getByLabel('Password').fill('a wrong password')
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.getByRole('alert').getByText('Wrong').waitFor()
      answers.push(await page.getByRole('alert').textContent())
      await page.reload()
    }
    t.equal(answers[0], 'Wrong name or password')
    t.equal(answers[1], answers[0])
    complaints.push(...visitor.complaints)
  })

  await t.test('no script failed, and nothing broke the Content Security Policy', async t => {
    t.same(complaints, [])
  })

  await t.test('no token is in a line that the server printed, at its most talkative', async t => {
    const output = site.output()
    t.match(output, '"level":20', 'it did print what it prints when debugging')
    const tokens = site.tokens()
    t.ok(tokens.length > 30)
    for (const token of tokens) {
      const [, payload = token, signature = token] = token.split('.')
      if ([payload, signature].some(part => output.includes(part))) t.fail('a token was printed')
    }
    t.notOk(/eyJ[\w-]+\.eyJ/.test(output), 'nor anything that looks like one')
    t.notOk(output.includes('correct horse visitor'), 'nor a password')
  })
})
