import { request } from './api.js'
import { onSubmit } from './form.js'
import { tabs } from './tabs.js'

// Who is signed in already, in another tab say, has nothing to do here.
request('GET', '/account').then(() => window.location.replace('/profile'), () => {})

onSubmit(document.querySelector('#sign-in'), async ({ name, password }) => {
  await request('POST', '/session/sign-in', { name, password })
  tabs.postMessage('signed-in')
  window.location.assign('/profile')
})
