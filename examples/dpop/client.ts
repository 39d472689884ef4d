// A client in Node: logs in, reads its profile, refreshes, and reads again.
//
//   node --import ./scripts/typescript.js examples/dpop/client.ts http://127.0.0.1:3000
import { generateKeyPair, generateProof } from 'dpop'

const server = process.argv[2] ?? 'http://127.0.0.1:3000'

// Not extractable: not even this program can read the private key.
const key = await generateKeyPair('ES256')
let nonce: string | undefined

/** `fetch`, with a proof. A server that wants another nonce says so, and is asked once more. */
async function fetchWithProof (path: string, { method = 'GET', body, token }: { method?: string, body?: URLSearchParams, token?: string } = {}): Promise<Response> {
  const url = `${server}${path}`
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(url, {
      method,
      body: body ?? null,
      headers: {
        dpop: await generateProof(key, url, method, nonce, token),
        ...(token === undefined ? {} : { authorization: `DPoP ${token}` })
      }
    })
    const next = response.headers.get('dpop-nonce')
    if (next === null) return response
    nonce = next
    if (attempt === 2 || response.ok) return response
    await response.body?.cancel()
  }
}

interface Tokens { access_token: string, token_type: string, refresh_token: string }

async function requestTokens (form: Record<string, string>): Promise<Tokens> {
  const response = await fetchWithProof('/token', { method: 'POST', body: new URLSearchParams(form) })
  if (!response.ok) throw new Error(`No tokens: ${await response.text()}`)
  return await response.json() as Tokens
}

async function readProfile (token: string): Promise<void> {
  const response = await fetchWithProof('/profile', { token })
  console.log(response.status, await response.text())
}

const first = await requestTokens({ grant_type: 'password', username: 'user123', password: 'correct horse battery staple' })
console.log(`Logged in, with tokens of type ${first.token_type}`)
await readProfile(first.access_token)

const second = await requestTokens({ grant_type: 'refresh_token', refresh_token: first.refresh_token })
console.log('Refreshed')
await readProfile(second.access_token)

// What somebody can do who has read the token, and has not the key.
const stolen = await fetch(`${server}/profile`, { headers: { authorization: `Bearer ${second.access_token}` } })
console.log(`A thief gets ${stolen.status}`)
