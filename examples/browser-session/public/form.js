/** Shows what there is to say to a form or a page; screen readers say it, since the element is a live region. */
export function say (element, text, kind = 'error') {
  element.dataset.kind = kind
  element.textContent = text
}

/** Calls `submit` with the fields of a form, once at a time, and shows what it throws. */
export function onSubmit (form, submit) {
  const message = form.querySelector('.message')
  const button = form.querySelector('[type=submit]')
  form.addEventListener('submit', async event => {
    event.preventDefault()
    if (button.ariaBusy === 'true') return
    say(message, '')
    button.ariaBusy = 'true'
    try {
      await submit(Object.fromEntries(new FormData(form)))
    } catch (error) {
      say(message, error.message)
      form.querySelector('[type=password]').select()
    } finally {
      button.ariaBusy = 'false'
    }
  })
}
