const dateFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
const relativeFormat = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })
const units = [['day', 86400], ['hour', 3600], ['minute', 60]]

/** How long ago it was, such as ‘3 minutes ago’. */
function ago (date) {
  const seconds = (date.getTime() - Date.now()) / 1000
  const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? []
  return unit === undefined ? 'just now' : relativeFormat.format(Math.round(seconds / length), unit)
}

/** Writes a date into a `<time>`: how long ago for the eye, exactly for machines and whoever points at it. */
export function showDate (time, date) {
  time.dateTime = date.toISOString()
  time.title = dateFormat.format(date)
  time.textContent = ago(date)
}

/** A length of time, such as 14:59. */
export function minutesAndSeconds (seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`
}
