import { badOption } from '../../errors.ts'

/**
 * A host that is this machine, whose traffic nobody on the way can change. Not `*.localhost`: where a browser
 * knows that name, Node.js asks the DNS.
 */
function isLoopback ({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname)
}

function parse (value: unknown): URL | null {
  return typeof value === 'string' && URL.canParse(value) ? new URL(value) : null
}

/** Why keys may not be fetched from this URL, or `null`: over plain HTTP anyone on the way could swap them. */
function faultOf (url: URL, allowLoopback: boolean): string | null {
  if (url.username !== '' || url.password !== '') return 'holds a user name or password; keys are public, leave it out'
  if (url.protocol === 'https:') return null
  if (url.protocol === 'http:' && allowLoopback && isLoopback(url)) return null
  return `is not an https: URL; over plain HTTP keys could be swapped on the way${allowLoopback ? ' (http: is for loopback hosts only)' : ''}`
}

/**
 * The URL of an option.
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

/** The discovery document of an issuer (OpenID Connect Discovery 1.0 §4). */
export function discoveryUrl (option: string, issuer: string): URL {
  const url = readRemoteUrl(option, issuer)
  if (url.search !== '' || url.hash !== '') throw badOption(option, 'has a query or a fragment, which an issuer never has')
  url.pathname = `${url.pathname.replace(/\/$/, '')}/.well-known/openid-configuration`
  return url
}

/**
 * The `jwks_uri` of a discovery document. A document must not lead us into our own machine, so plain HTTP on
 * a loopback host is for an issuer that is on one itself.
 *
 * @throws `TypeError` when it is none to fetch from.
 */
export function readDiscoveredUrl (value: unknown, issuer: URL): URL {
  const url = parse(value)
  if (url === null) throw new TypeError('the discovery document has no jwks_uri')
  const fault = faultOf(url, issuer.protocol === 'http:')
  if (fault !== null) throw new TypeError(`the jwks_uri of the discovery document ${fault}`)
  return url
}
