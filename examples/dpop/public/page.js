import { fetchWithProof, read, write } from './dpop.js'

const answer = document.querySelector('#answer')
let accessToken

async function show (response) {
  answer.textContent = `${response.status} ${await response.text()}`
}

/** Logs in or refreshes. The refresh token is bound, too, and outlives the page. */
async function requestTokens (form) {
  const response = await fetchWithProof('/token', { method: 'POST', body: new URLSearchParams(form) })
  if (!response.ok) return show(response)
  const tokens = await response.json()
  accessToken = tokens.access_token
  await write('refresh token', tokens.refresh_token)
  answer.textContent = `${response.status} ${tokens.token_type}`
}

document.querySelector('#login').addEventListener('submit', event => {
  event.preventDefault()
  requestTokens({ grant_type: 'password', ...Object.fromEntries(new FormData(event.target)) })
})
document.querySelector('#refresh').addEventListener('click', async () => {
  const refreshToken = await read('refresh token')
  if (refreshToken === undefined) answer.textContent = 'Log in first: there is no refresh token'
  else await requestTokens({ grant_type: 'refresh_token', refresh_token: refreshToken })
})
document.querySelector('#profile').addEventListener('click', async () => {
  await show(await fetchWithProof('/profile', { token: accessToken ?? 'none' }))
})
