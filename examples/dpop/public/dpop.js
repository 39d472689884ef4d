/* global indexedDB, location */
// DPoP in a browser (RFC 9449). The private key lives in IndexedDB and can't be exported: a script that gets into the page can use
// it while the page is open, and can carry away neither it nor a token that is good without it.

/** A promise of the result of an IndexedDB request. */
const done = request => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result)
  request.onerror = () => reject(request.error)
})

async function openStore (mode) {
  const opening = indexedDB.open('dpop', 1)
  opening.onupgradeneeded = () => { opening.result.createObjectStore('entries') }
  return (await done(opening)).transaction('entries', mode).objectStore('entries')
}

/** What is kept under a name, across page loads. */
export const read = async name => done((await openStore('readonly')).get(name))
export const write = async (name, value) => done((await openStore('readwrite')).put(value, name))

/** The key of this browser: made once. */
async function loadKey () {
  const kept = await read('key')
  if (kept !== undefined) return kept
  const key = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify'])
  await write('key', key)
  return key
}

const base64url = bytes => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
const encode = text => new TextEncoder().encode(text)

/** A proof for one request. */
async function createProof ({ privateKey, publicKey }, method, url, token, nonce) {
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', publicKey)
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } }
  const claims = {
    jti: crypto.randomUUID(),
    htm: method,
    htu: url.origin + url.pathname,
    iat: Math.floor(Date.now() / 1000),
    ...(token === undefined ? {} : { ath: base64url(await crypto.subtle.digest('SHA-256', encode(token))) }),
    ...(nonce === undefined ? {} : { nonce })
  }
  const input = [header, claims].map(part => base64url(encode(JSON.stringify(part)))).join('.')
  const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, privateKey, encode(input))
  return `${input}.${base64url(signature)}`
}

const nonces = new Map()
let key

/** `fetch`, with a proof, and with a token if there is one. A server that wants another nonce says so, and is asked once more. */
export async function fetchWithProof (address, { method = 'GET', body, token } = {}) {
  key ??= await loadKey()
  const url = new URL(address, location.href)
  for (let attempt = 1; ; attempt++) {
    const headers = { dpop: await createProof(key, method, url, token, nonces.get(url.origin)) }
    if (token !== undefined) headers.authorization = `DPoP ${token}`
    const response = await fetch(url, { method, body, headers })
    // Of another origin, only if its Access-Control-Expose-Headers names it.
    const nonce = response.headers.get('dpop-nonce')
    if (nonce === null) return response
    nonces.set(url.origin, nonce)
    if (attempt === 2 || response.ok) return response
  }
}
