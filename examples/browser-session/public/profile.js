import { changes, refresh, request, session } from './api.js'
import { confirmPassword } from './confirm.js'
import { minutesAndSeconds, showDate } from './dates.js'
import { showDevices } from './devices.js'
import { onSubmit, say } from './form.js'

const page = document.querySelector('main')
const at = id => page.querySelector(`#${id}`)
let accessExpiresAt = 0

/** Fills the page. Whoever is not signed in, or not any more, is sent to the sign-in page. */
async function show () {
  // Asked first, so that a visitor who is not signed in has no refused request in the console.
  if (page.hidden && !(await request('GET', '/session')).signedIn) return leave()
  const account = await request('GET', '/account')
  const { devices } = await request('GET', '/devices')
  at('name').textContent = account.name
  at('change-password').elements.username.value = account.name
  showDate(at('member-since'), new Date(account.memberSince * 1000))
  showDate(at('signed-in-at'), new Date(account.signedInAt * 1000))
  at('fresh').textContent = account.fresh ? 'Yes' : 'No'
  // The browser itself renews a session that is bound to this device, and nobody else can.
  at('renew').hidden = account.bound
  accessExpiresAt = account.accessExpiresAt
  countDown()
  showDevices(at('devices'), devices, signOutDevice)
  page.hidden = false
}

function leave () {
  // Nothing of the account stays in the page, whatever becomes of it.
  page.remove()
  // The sign-in page says why, if nobody has signed out here.
  window.location.replace('/?left')
}

/** Does something, shows what went wrong, and leaves when it was that the session is over. */
async function attempt (action, done) {
  try {
    await action()
    if (done !== undefined) say(at('message'), done, 'success')
  } catch (error) {
    if (error.status === 401) return leave()
    page.hidden = false
    say(at('message'), error.message)
  }
}

function countDown () {
  const left = accessExpiresAt - Date.now() / 1000
  at('access-left').textContent = left > 0 ? minutesAndSeconds(left) : 'due, at the next request'
}

async function signOut (method, path) {
  await request(method, path)
  session.signedOut()
}

async function signOutDevice ({ id }, name) {
  await attempt(async () => {
    await request('DELETE', `/devices/${encodeURIComponent(id)}`)
    await show()
    // The button that had the focus is gone.
    at('devices-heading').focus()
  }, `${name} is signed out.`)
}

document.querySelector('#sign-out').addEventListener('click', () => attempt(() => signOut('POST', '/session/sign-out')))
at('sign-out-everywhere').addEventListener('click', () => attempt(() => signOut('DELETE', '/devices')))
at('renew').addEventListener('click', () => attempt(async () => {
  await refresh()
  await show()
}, 'Access is renewed. Its token is not fresh: nobody gave a password for it.'))

onSubmit(at('change-password'), async ({ password }) => {
  const change = () => request('POST', '/account/password', { password })
  let answer
  try {
    answer = await change()
  } catch (error) {
    if (error.code !== 'FST_JWT_FRESH_REQUIRED') throw error
    if (!await confirmPassword(at('change-password').elements.username.value)) throw new Error('The password was not changed.')
    answer = await change()
  }
  at('change-password').reset()
  await show()
  const others = answer.signedOut
  say(at('message'), `The password is changed. ${others === 0 ? 'No other device was signed in.' : `${others} other ${others === 1 ? 'device was' : 'devices were'} signed out.`}`, 'success')
  at('message').scrollIntoView({ block: 'center' })
})

changes.addEventListener('signed-out', leave)
// Perhaps as somebody else.
changes.addEventListener('signed-in', () => attempt(show))
// A page that the browser had kept, and shows again for the back button, may be somebody's who is gone.
window.addEventListener('pageshow', event => { if (event.persisted) attempt(show) })
setInterval(countDown, 1000)

await attempt(show)
