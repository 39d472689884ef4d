import { request, session } from './api.js'
import { onSubmit } from './form.js'

// Who is signed in already, in another tab say, has nothing to do here.
request('GET', '/account').then(() => window.location.replace('/profile'), () => {})

onSubmit(document.querySelector('#sign-in'), async ({ name, password }) => {
  await request('POST', '/session/sign-in', { name, password })
  session.signedIn()
  window.location.assign('/profile')
})
