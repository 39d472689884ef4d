import { request } from './api.js'
import { onSubmit } from './form.js'
import { tabs } from './tabs.js'

onSubmit(document.querySelector('#sign-up'), async ({ name, password }) => {
  await request('POST', '/session/sign-up', { name, password })
  tabs.postMessage('signed-in')
  window.location.assign('/profile')
})
