import { request, session } from './api.js'
import { onSubmit } from './form.js'

onSubmit(document.querySelector('#sign-up'), async ({ name, password }) => {
  await request('POST', '/session/sign-up', { name, password })
  session.signedIn()
  window.location.assign('/profile')
})
