import { parse as parseMilliseconds } from '@lukeed/ms'
import { badOption } from '../errors.ts'

/** Checks one option's value and returns it in the form the package works with. */
export type Kind<T> = (value: unknown, option: string) => T

/** What a value is, without showing it: an option may hold a secret. */
function nameOf (value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array'
  if (value === '') return 'an empty string'
  if (typeof value === 'number') return String(value)
  if (typeof value === 'boolean') return String(value)
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** A value that is no secret, as it was given. */
function shown (value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : nameOf(value)
}

/** The error of an option that got one kind of value and takes another. */
export function wrongKind (option: string, value: unknown, takes: string): Error {
  return badOption(option, `takes ${takes}, got ${nameOf(value)}`)
}

export const boolean: Kind<boolean> = (value, option) => {
  if (typeof value !== 'boolean') throw wrongKind(option, value, 'true or false')
  return value
}

export const text: Kind<string> = (value, option) => {
  if (typeof value !== 'string' || value === '') throw wrongKind(option, value, 'a non-empty string')
  return value
}

export const anyText: Kind<string> = (value, option) => {
  if (typeof value !== 'string') throw wrongKind(option, value, 'a string')
  return value
}

/** A token of RFC 9110 §5.6.2: what header names, schemes, methods and cookie names are made of. */
const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

export const fieldName: Kind<string> = (value, option) => {
  if (typeof value !== 'string' || !tokenPattern.test(value)) {
    throw badOption(option, `takes a name of letters, digits and !#$%&'*+-.^_\`|~ (RFC 9110 §5.6.2), got ${shown(value)}`)
  }
  return value
}

/** The name of a header, in the lower case that Node.js knows it by. */
export const headerName: Kind<string> = (value, option) => fieldName(value, option).toLowerCase()

/** An authentication scheme, or `''` for a header that holds a bare token. */
export const scheme: Kind<string> = (value, option) => value === '' ? '' : fieldName(value, option)

export const cookiePath: Kind<string> = (value, option) => {
  if (typeof value !== 'string' || !/^\/[\x20-\x3a\x3c-\x7e]*$/.test(value)) {
    throw wrongKind(option, value, 'a path that begins with / and holds no ; or control character (RFC 6265 §4.1.1)')
  }
  return value
}

export const cookieDomain: Kind<string> = (value, option) => {
  if (typeof value !== 'string' || !/^\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(value)) {
    throw wrongKind(option, value, 'a host name such as example.com (RFC 6265 §4.1.2.3)')
  }
  return value
}

/** Text for a quoted-string header parameter: printable ASCII. */
export const printable: Kind<string> = (value, option) => {
  if (typeof value !== 'string' || !/^[\x20-\x7e]+$/.test(value)) throw wrongKind(option, value, 'printable ASCII text')
  return value
}

/** Whole number that is at least `minimum`. */
export function integer (minimum: number): Kind<number> {
  return (value, option) => {
    if (!Number.isSafeInteger(value) || (value as number) < minimum) {
      throw wrongKind(option, value, `a whole number of at least ${minimum}`)
    }
    return value as number
  }
}

/**
 * Seconds of a number or of a duration such as `'15m'`; `undefined` when it is neither. A string needs
 * its unit: whether `'900'` were seconds or milliseconds would be a guess.
 */
export function toSeconds (value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  if (typeof value !== 'string' || !/[a-z]\s*$/i.test(value)) return undefined
  const milliseconds = parseMilliseconds(value.trim())
  return milliseconds === undefined || !Number.isFinite(milliseconds) ? undefined : milliseconds / 1000
}

function secondsFrom (minimum: number, takes: string): Kind<number> {
  return (value, option) => {
    const seconds = toSeconds(value)
    if (seconds === undefined || seconds < minimum) throw wrongKind(option, value, takes)
    return seconds
  }
}

/** Seconds, zero or more. */
export const seconds: Kind<number> = secondsFrom(0, "seconds (zero or more) or a duration such as '15m'")

/** A life of at least a second: the resolution of `exp`. */
export const lifetime: Kind<number> = secondsFrom(1, "seconds (at least 1) or a duration such as '15m'")

export function oneOf<const T extends readonly unknown[]> (...values: T): Kind<T[number]> {
  return (value, option) => {
    if (!values.includes(value)) {
      throw badOption(option, `takes ${values.map(v => JSON.stringify(v)).join(', ')}, got ${shown(value)}`)
    }
    return value
  }
}

/** `false`, or a value of the kind. */
export function orFalse<T> (kind: Kind<T>): Kind<T | false> {
  return (value, option) => value === false ? false : kind(value, option)
}

/** An array of values of the kind. */
export function list<T> (kind: Kind<T>): Kind<readonly T[]> {
  return (value, option) => {
    if (!Array.isArray(value)) throw wrongKind(option, value, 'an array')
    return Object.freeze(value.map((item, index) => kind(item, `${option}[${index}]`)))
  }
}

/** A set of values of the kind, given as an array. */
export function setOf<T> (kind: Kind<T>): Kind<ReadonlySet<T>> {
  const array = list(kind)
  return (value, option) => new Set(array(value, option))
}

/** One value of the kind, or several different ones in an array that is not empty. */
export function oneOrSeveral<T> (kind: Kind<T>): Kind<readonly T[]> {
  return (value, option) => {
    const values = Array.isArray(value) ? list(kind)(value, option) : Object.freeze([kind(value, option)])
    if (values.length === 0) throw wrongKind(option, value, 'one value or several')
    if (new Set(values).size !== values.length) throw badOption(option, 'names the same value twice')
    return values
  }
}

export function callback<F extends Function> (): Kind<F> {
  return (value, option) => {
    if (typeof value !== 'function') throw wrongKind(option, value, 'a function')
    return value as F
  }
}

/** An origin in the form browsers send (RFC 6454 §6.2): scheme, host, and port unless it is the default. */
export const origin: Kind<string> = (value, option) => {
  if (typeof value === 'string' && URL.canParse(value)) {
    const parsed = new URL(value)
    if (parsed.origin !== 'null' && parsed.origin === value.toLowerCase() && !value.includes('*')) return parsed.origin
  }
  throw badOption(option, `takes an origin such as 'https://app.example.com', with no path, no default port and no *, got ${shown(value)}`)
}
