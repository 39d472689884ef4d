import { showDate } from './dates.js'

// What a user agent calls itself, the most particular first: Edge says that it is Chrome, and Chrome that it is Safari.
const browsers = [['Edg', 'Edge'], ['OPR', 'Opera'], ['Firefox', 'Firefox'], ['Chrome', 'Chrome'], ['Safari', 'Safari'], ['curl', 'curl']]
const systems = [['Android', 'Android'], ['iPhone', 'iPhone'], ['iPad', 'iPad'], ['Windows', 'Windows'], ['Mac OS', 'macOS'], ['CrOS', 'ChromeOS'], ['Linux', 'Linux']]

/** ‘Firefox on Linux’, as near as can be told. */
function nameOf (userAgent) {
  const find = table => table.find(([mark]) => userAgent.includes(mark))?.[1]
  const browser = find(browsers) ?? 'Unknown browser'
  const system = find(systems)
  return system === undefined ? browser : `${browser} on ${system}`
}

function element (name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties)
  made.append(...children)
  return made
}

function dateOf (value) {
  const time = element('time')
  showDate(time, new Date(value))
  return time
}

/** Shows a list of devices. `signOut` is called with one of them when its button is pressed. */
export function showDevices (list, devices, signOut) {
  list.replaceChildren(...devices.map(device => {
    const name = nameOf(device.userAgent)
    const title = element('strong', { textContent: name })
    if (device.current) title.append(element('span', { className: 'badge', textContent: 'This device' }))
    if (device.bound) title.append(element('span', { className: 'badge', textContent: device.current ? 'Bound to this device' : 'Bound to its device' }))
    const about = element('div', {},
      title,
      // Text, never markup: a user agent is whatever its sender likes.
      element('p', { className: 'user-agent', title: device.userAgent, textContent: device.userAgent }),
      element('p', {}, 'Signed in ', dateOf(device.createdAt), ' · last used ', dateOf(device.lastUsedAt), ` · ${device.ip}`))
    const item = element('li', {}, about)
    if (!device.current) {
      const button = element('button', { type: 'button', className: 'quiet', textContent: 'Sign out', ariaLabel: `Sign out ${name}` })
      button.addEventListener('click', () => signOut(device, name))
      item.append(button)
    }
    return item
  }))
}
