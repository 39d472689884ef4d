import { badOption } from '../../errors.ts'

/**
 * Whether the host is this machine, whose traffic nobody on the network can change. `*.localhost` is not accepted: browsers
 * resolve it to this machine, but Node.js asks the DNS.
 */
function isLoopback ({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname)
}

function parse (value: unknown): URL | null {
  return typeof value === 'string' && URL.canParse(value) ? new URL(value) : null
}

/** Why this URL may not be fetched; `null` if it may. */
function faultOf (url: URL, allowLoopback: boolean): string | null {
  if (url.username !== '' || url.password !== '') return 'holds a user name or password; leave it out'
  if (url.protocol === 'https:') return null
  if (url.protocol === 'http:' && allowLoopback && isLoopback(url)) return null
  return `is not an https: URL; over plain HTTP an attacker on the network could change what it says${allowLoopback ? ' (http: is for loopback hosts only)' : ''}`
}

/**
 * Reads the URL in an option.
 *
 * @throws `FST_JWT_BAD_OPTION` unless it is `https:`, or `http:` on a loopback host.
 */
export function readRemoteUrl (option: string, value: unknown): URL {
  const url = parse(value)
  if (url === null) throw badOption(option, 'takes an absolute URL, such as https://issuer.example/jwks.json')
  const fault = faultOf(url, true)
  if (fault !== null) throw badOption(option, fault)
  return url
}

/** The URL of an issuer's discovery document (OpenID Connect Discovery 1.0 §4). @throws `FST_JWT_BAD_OPTION` */
export function discoveryUrl (option: string, issuer: string): URL {
  const url = readRemoteUrl(option, issuer)
  if (url.search !== '' || url.hash !== '') throw badOption(option, 'has a query or a fragment, which an issuer never has')
  url.pathname = `${url.pathname.replace(/\/$/, '')}/.well-known/openid-configuration`
  return url
}

/**
 * Reads the `jwks_uri` of a discovery document. A remote document must not make us contact this machine: plain HTTP on a
 * loopback host is accepted only from an issuer on plain HTTP, which is on a loopback host itself.
 *
 * @throws {TypeError} If there is none, or keys may not be fetched from it.
 */
export function readDiscoveredUrl (value: unknown, issuer: URL): URL {
  const url = parse(value)
  if (url === null) throw new TypeError('the discovery document has no jwks_uri')
  const fault = faultOf(url, issuer.protocol === 'http:')
  if (fault !== null) throw new TypeError(`the jwks_uri of the discovery document ${fault}`)
  return url
}
