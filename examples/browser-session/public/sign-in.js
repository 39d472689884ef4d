import { request, session } from './api.js'
import { onSubmit, say } from './form.js'

// First of all: a form that is sent before this is sent by the browser itself.
onSubmit(document.querySelector('#sign-in'), async ({ name, password }) => {
  await request('POST', '/session/sign-in', { name, password })
  session.signedIn()
  window.location.assign('/profile')
})

const { signedIn, ended } = await request('GET', '/session').catch(() => ({}))
// Who is signed in already, in another tab say, has nothing to do here.
if (signedIn) window.location.replace('/profile')

if (window.location.search === '?left') {
  if (ended) say(document.querySelector('#reason'), 'Your session has ended: it was signed out from another device, the password was changed, or its time was up.', 'note')
  // Not again when the page is loaded anew.
  window.history.replaceState(null, '', '/')
}
