import t from 'tap'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { startChromium, withoutBrowser } from '../../helpers/browser/chromium.ts'
import { startSite } from '../../helpers/browser/site.ts'
import { loseAccess, newVisitor, seeProfile, seeSignIn, signIn, signUpByForm } from '../../helpers/browser/visitor.ts'
import type { Page } from 'playwright-core'

const screenshots = fileURLToPath(new URL('../../screenshots/', import.meta.url))
mkdirSync(screenshots, { recursive: true })

/** What has the focus, and whether it shows, once the page has got its style and scrolled there. */
const focused = async (page: Page): Promise<{ name: string, visible: boolean }> => await page.evaluate(`(async () => {
  const element = document.activeElement
  const isVisible = () => {
    const { outlineStyle, outlineWidth } = getComputedStyle(element)
    const { top, bottom } = element.getBoundingClientRect()
    return outlineStyle === 'solid' && parseFloat(outlineWidth) >= 2 && top >= 0 && bottom <= innerHeight
  }
  for (let tries = 0; tries < 200 && !isVisible(); tries++) await new Promise(resolve => setTimeout(resolve, 50))
  return { name: element.labels?.[0]?.textContent ?? element.ariaLabel ?? element.textContent.trim(), visible: isVisible() }
})()`)

t.setTimeout(300_000)

t.test('The site to look at and to use', withoutBrowser, async t => {
  const browser = await startChromium(t)
  const site = await startSite(t, false)
  const complaints: string[] = []

  await t.test('everything can be reached and done by keyboard, and where one is can be seen', async t => {
    const visitor = await newVisitor(t, browser)
    const { page } = visitor
    const { keyboard } = page
    /** Tab by tab through what comes. */
    const tabThrough = async (names: string[]): Promise<void> => {
      for (const name of names) {
        await keyboard.press('Tab')
        t.same(await focused(page), { name, visible: true })
      }
    }

    await page.goto(`${site.origin}/sign-up`)
    await tabThrough(['Skip to the content', 'Latchkey', 'Name'])
    await keyboard.type(visitor.name)
    await tabThrough(['Password'])
    await keyboard.type('too short')
    await tabThrough(['Create account'])
    await keyboard.press('Enter')
    t.same(await focused(page), { name: 'Password', visible: true }, 'a form leads to what is wrong with it')
    await keyboard.press('Control+A')
    await keyboard.type(visitor.password)
    await keyboard.press('Enter')
    await seeProfile(page, visitor.name)

    await tabThrough(['Skip to the content', 'Latchkey', 'Sign out', 'Renew now', 'Sign out everywhere', 'New password', 'Change password'])
    await page.reload()
    await seeProfile(page, visitor.name)
    await tabThrough(['Skip to the content'])
    await keyboard.press('Enter')
    await tabThrough(['Renew now'])

    // The dialog takes the focus, keeps it, and gives it back.
    await loseAccess(visitor)
    await tabThrough(['Sign out everywhere', 'New password'])
    await keyboard.type('a new and longer password')
    await keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    t.equal((await focused(page)).name, 'Password')
    await keyboard.type(visitor.password)
    await keyboard.press('Enter')
    await page.getByText('The password is changed. No other device was signed in.').waitFor()
    t.equal((await focused(page)).name, 'New password')
    await keyboard.press('Shift+Tab')
    await keyboard.press('Enter')
    await seeSignIn(page)

    await tabThrough(['Skip to the content', 'Latchkey', 'Name'])
    await keyboard.type(visitor.name)
    await tabThrough(['Password'])
    await keyboard.type('a new and longer password')
    await tabThrough(['Sign in'])
    await keyboard.press('Space')
    await seeProfile(page, visitor.name)
    complaints.push(...visitor.complaints)
  })

  await t.test('nothing sticks out of its window, wide or narrow, by day or by night', async t => {
    const owner = await newVisitor(t, browser)
    const elsewhere = await newVisitor(t, browser, { userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1' })
    const { page } = owner
    const windows = {
      desktop: { width: 1280, height: 900 },
      phone: { width: 375, height: 812 },
      // The narrowest that WCAG 2.2 asks for (1.4.10).
      narrowest: { width: 320, height: 640 }
    }
    const look = async (name: string, fullPage = true): Promise<void> => {
      for (const [device, viewport] of Object.entries(windows)) {
        await page.setViewportSize(viewport)
        t.equal(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth'), 0, `${name}, ${device}`)
        if (device === 'narrowest') continue
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ colorScheme })
          await page.screenshot({ path: `${screenshots}${name}-${device}-${colorScheme}.png`, fullPage, animations: 'disabled' })
        }
      }
    }

    await page.goto(`${site.origin}/sign-up`)
    await look('sign-up')
    await signUpByForm(site, owner)
    await signIn(site, { ...elsewhere, name: owner.name, password: owner.password })
    await page.getByRole('button', { name: 'Renew now' }).click()
    await page.getByText('Access is renewed.').waitFor()
    await page.getByRole('listitem').nth(1).waitFor()
    await look('profile')
    await page.getByLabel('New password').fill('a new and longer password')
    await page.getByRole('button', { name: 'Change password' }).click()
    await page.getByRole('dialog').waitFor()
    await look('dialog', false)
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Sign out', exact: true }).click()
    await seeSignIn(page)
    await page.getByLabel('Name').fill(owner.name)
    await page.getByLabel('Password').fill('a wrong password')
    await page.keyboard.press('Enter')
    await page.getByText('Wrong name or password').waitFor()
    await look('sign-in')
    complaints.push(...owner.complaints, ...elsewhere.complaints)
  })

  await t.test('a visitor who is not signed in has nothing red in the console', async t => {
    const { page } = await newVisitor(t, browser)
    const printed: string[] = []
    page.on('console', message => { printed.push(message.text()) })
    await page.goto(`${site.origin}/profile`)
    await seeSignIn(page)
    for (const path of ['/', '/sign-up', '/about']) await page.goto(site.origin + path, { waitUntil: 'networkidle' })
    t.same(printed, [])
    t.equal(await page.evaluate("fetch('/favicon.ico').then(response => response.status)"), 200)
    const missing = await page.goto(`${site.origin}/no-such-page`)
    t.equal(missing?.status(), 404)
    await page.getByRole('heading', { name: 'No such page' }).waitFor()
  })

  await t.test('the focus goes to the field that is wrong, which says so', async t => {
    const [first, second] = [await newVisitor(t, browser), await newVisitor(t, browser)]
    await signUpByForm(site, first)
    const { page } = second
    await page.goto(`${site.origin}/sign-up`)
    await page.getByLabel('Name').fill(first.name)
    await page.getByLabel('Password').fill(second.password)
    await page.getByRole('button', { name: 'Create account' }).click()
    await page.getByText('This name is taken').waitFor()
    t.same(await focused(page), { name: 'Name', visible: true })
    t.equal(await page.getByLabel('Name').getAttribute('aria-invalid'), 'true')
    t.equal(await page.getByLabel('Password').getAttribute('aria-invalid'), null)
    complaints.push(...first.complaints, ...second.complaints)
  })

  await t.test('who was signed out from elsewhere is told why, and who has signed out is not', async t => {
    const here = await newVisitor(t, browser)
    await signUpByForm(site, here)
    const there = { ...await newVisitor(t, browser), name: here.name, password: here.password }
    await signIn(site, there)
    await there.page.getByRole('button', { name: 'Sign out everywhere' }).click()
    await seeSignIn(there.page)
    await here.page.getByRole('button', { name: 'Renew now' }).click()
    await here.page.getByText('Your session has ended').waitFor()
    t.equal(new URL(here.page.url()).search, '')
    t.equal(await there.page.getByText('Your session has ended').count(), 0)
    complaints.push(...here.complaints, ...there.complaints)
  })

  await t.test('without JavaScript there is something to read, and the password goes into no address', async t => {
    const { page } = await newVisitor(t, browser, { javaScriptEnabled: false })
    for (const path of ['/', '/sign-up', '/profile']) {
      await page.goto(site.origin + path)
      await page.getByRole('link', { name: 'What this site shows' }).click()
      await page.getByRole('heading', { name: 'About this site' }).waitFor()
    }
    await page.goto(site.origin)
    await page.getByLabel('Name').fill('ada')
    await page.getByLabel('Password').fill('a secret')
    await page.getByRole('button', { name: 'Sign in' }).click()
    t.notMatch(page.url(), 'secret')
  })

  await t.test('no script failed, and nothing broke the Content Security Policy', async t => {
    t.same(complaints, [])
  })
})
