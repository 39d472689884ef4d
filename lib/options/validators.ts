import { parse as parseMilliseconds } from '@lukeed/ms'
import { badOption } from '../errors.ts'

/**
 * Checks the value of an option.
 *
 * @param option The name of the option, for the error.
 * @returns The value in the form that this package works with.
 * @throws `FST_JWT_BAD_OPTION`
 */
export type Validator<T> = (value: unknown, option: string) => T

/** Describes a value without showing a string: it may be a secret. */
function describe (value: unknown): string {
  if (value === null) return 'null'
  if (value === undefined) return 'undefined'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array'
  if (value === '') return 'an empty string'
  if (typeof value === 'number') return String(value)
  if (typeof value === 'boolean') return String(value)
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** Describes a value that is never a secret. */
function show (value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : describe(value)
}

/** The error of an option whose value is of the wrong type, or outside of what it takes. */
export function wrongKind (option: string, value: unknown, takes: string): Error {
  return badOption(option, `takes ${takes}, got ${describe(value)}`)
}

export const boolean: Validator<boolean> = (value, option) => {
  if (typeof value !== 'boolean') throw wrongKind(option, value, 'true or false')
  return value
}

export const text: Validator<string> = (value, option) => {
  if (typeof value !== 'string' || value === '') throw wrongKind(option, value, 'a non-empty string')
  return value
}

export const anyText: Validator<string> = (value, option) => {
  if (typeof value !== 'string') throw wrongKind(option, value, 'a string')
  return value
}

/** A token of RFC 9110 §5.6.2: a header name, scheme, method or cookie name. */
const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

export const fieldName: Validator<string> = (value, option) => {
  if (typeof value !== 'string' || !tokenPattern.test(value)) {
    throw badOption(option, `takes a name of letters, digits and !#$%&'*+-.^_\`|~ (RFC 9110 §5.6.2), got ${show(value)}`)
  }
  return value
}

/** The name of a header, in lower case as Node.js has it. */
export const headerName: Validator<string> = (value, option) => fieldName(value, option).toLowerCase()

/** An authentication scheme, or `''` for a header that holds a bare token. */
export const scheme: Validator<string> = (value, option) => value === '' ? '' : fieldName(value, option)

export const cookiePath: Validator<string> = (value, option) => {
  if (typeof value !== 'string' || !/^\/[\x20-\x3a\x3c-\x7e]*$/.test(value)) {
    throw wrongKind(option, value, 'a path that begins with / and holds no ; or control character (RFC 6265 §4.1.1)')
  }
  return value
}

export const cookieDomain: Validator<string> = (value, option) => {
  if (typeof value !== 'string' || !/^\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(value)) {
    throw wrongKind(option, value, 'a host name such as example.com (RFC 6265 §4.1.2.3)')
  }
  return value
}

/** Printable ASCII, for a quoted-string in a header (RFC 9110 §5.6.4). */
export const printable: Validator<string> = (value, option) => {
  if (typeof value !== 'string' || !/^[\x20-\x7e]+$/.test(value)) throw wrongKind(option, value, 'printable ASCII text')
  return value
}

/** A whole number of at least `minimum`. */
export function integer (minimum: number): Validator<number> {
  return (value, option) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < minimum) {
      throw wrongKind(option, value, `a whole number of at least ${minimum}`)
    }
    return value
  }
}

/**
 * Reads a number of seconds, or a duration such as `'15m'`. A string needs its unit: `'900'` could be seconds or
 * milliseconds.
 *
 * @returns Seconds; `undefined` if it is neither.
 */
export function toSeconds (value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  if (typeof value !== 'string' || !/[a-z]\s*$/i.test(value)) return undefined
  const milliseconds = parseMilliseconds(value.trim())
  return milliseconds === undefined || !Number.isFinite(milliseconds) ? undefined : milliseconds / 1000
}

/** The remedy for a number without a unit; empty for any other value. */
export function unitRemedy (value: unknown): string {
  const digits = typeof value === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*$/.exec(value)?.[1] : undefined
  return digits === undefined ? '' : `: '${digits}' has no unit; write ${digits} or '${digits}s'`
}

function secondsFrom (minimum: number, takes: string): Validator<number> {
  return (value, option) => {
    const seconds = toSeconds(value)
    if (seconds === undefined || seconds < minimum) throw badOption(option, `takes ${takes}, got ${describe(value)}${unitRemedy(value)}`)
    return seconds
  }
}

/** Seconds, zero or more. */
export const seconds: Validator<number> = secondsFrom(0, "seconds (zero or more) or a duration such as '15m'")

/** A lifetime in seconds, at least one: `exp` is in whole seconds. */
export const lifetime: Validator<number> = secondsFrom(1, "seconds (at least 1) or a duration such as '15m'")

/** One of some values. */
export function oneOf<const T extends readonly unknown[]> (...values: T): Validator<T[number]> {
  return (value, option) => {
    if (!values.includes(value)) {
      throw badOption(option, `takes ${values.map(v => JSON.stringify(v)).join(', ')}, got ${show(value)}`)
    }
    return value
  }
}

/** `false`, or a value that the validator accepts. */
export function orFalse<T> (validator: Validator<T>): Validator<T | false> {
  return (value, option) => value === false ? false : validator(value, option)
}

/** An array of values that the validator accepts. */
export function list<T> (validator: Validator<T>): Validator<readonly T[]> {
  return (value, option) => {
    if (!Array.isArray(value)) throw wrongKind(option, value, 'an array')
    return Object.freeze(value.map((item, index) => validator(item, `${option}[${index}]`)))
  }
}

/** An array of values that the validator accepts; becomes a set. */
export function setOf<T> (validator: Validator<T>): Validator<ReadonlySet<T>> {
  const array = list(validator)
  return (value, option) => new Set(array(value, option))
}

/** One value that the validator accepts, or a non-empty array of different ones; becomes an array. */
export function oneOrSeveral<T> (validator: Validator<T>): Validator<readonly T[]> {
  return (value, option) => {
    const values = Array.isArray(value) ? list(validator)(value, option) : Object.freeze([validator(value, option)])
    if (values.length === 0) throw wrongKind(option, value, 'one value or several')
    if (new Set(values).size !== values.length) throw badOption(option, 'names the same value twice')
    return values
  }
}

/** A function. */
export function callback<F extends Function> (): Validator<F> {
  return (value, option) => {
    if (typeof value !== 'function') throw wrongKind(option, value, 'a function')
    return value as F
  }
}

/** Scheme and host, and nothing after it. `URL` has an origin only for web schemes. */
const serializedOrigin = /^([a-z][a-z\d+.-]*):\/\/[^/?#@*\\\s]+$/

/** An origin as browsers send it (RFC 6454 §6.2): scheme, host, and port if it is not the default. An app's scheme is accepted, too. */
export const origin: Validator<string> = (value, option) => {
  if (typeof value === 'string' && value.includes('*')) {
    throw badOption(option, `takes whole origins, got ${show(value)}; for hosts of tenants give a function (origin, request) => boolean`)
  }
  const text = typeof value === 'string' ? value.toLowerCase() : ''
  const scheme = serializedOrigin.exec(text)?.[1]
  if (scheme !== undefined && URL.canParse(text)) {
    const isWeb = ['http', 'https', 'ws', 'wss', 'ftp', 'file'].includes(scheme)
    if (isWeb ? /^https?$/.test(scheme) && new URL(text).origin === text : true) return text
  }
  throw badOption(option, `takes an origin such as 'https://app.example.com' or 'capacitor://localhost', with no path and no default port, got ${show(value)}`)
}
