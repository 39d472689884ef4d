import { request } from './api.js'
import { onSubmit, say } from './form.js'

const dialog = document.querySelector('#confirm')
const form = dialog.querySelector('form')
let settle

/** Asks for the password of an account again, and gets a fresh token for it. `false` if the dialog was closed instead. */
export function confirmPassword (name) {
  form.reset()
  form.elements.username.value = name
  say(form.querySelector('.message'), '')
  // A modal dialog keeps the focus inside, closes on Escape, and gives the focus back.
  dialog.showModal()
  return new Promise(resolve => { settle = resolve })
}

onSubmit(form, async ({ password }) => {
  await request('POST', '/session/confirm', { password })
  settle(true)
  dialog.close()
})
dialog.querySelector('[data-cancel]').addEventListener('click', () => dialog.close())
dialog.addEventListener('close', () => {
  settle(false)
  form.reset()
})
