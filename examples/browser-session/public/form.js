/** Shows what there is to say to a form or a page; screen readers say it, since the element is a live region. */
export function say (element, text, kind = 'error') {
  element.dataset.kind = kind
  element.textContent = text
}

/** The field that an answer complains of; `null` if it is about none, as when the server can't be reached. */
function wrongField (form, { status, code, message }) {
  if (code === 'NAME_TAKEN') return form.elements.name
  // Fastify names the field that its schema refuses: "body/name must match pattern …".
  const [, named] = /^body\/(\w+)/.exec(message) ?? []
  if (named !== undefined) return form.elements[named]
  // Which of name and password is wrong is not told.
  return status === 401 ? form.querySelector('[type=password]') : null
}

/** Calls `submit` with the fields of a form, once at a time. Shows what it throws, and puts the focus where it can be mended. */
export function onSubmit (form, submit) {
  const message = form.querySelector('.message')
  const button = form.querySelector('[type=submit]')
  form.addEventListener('submit', async event => {
    event.preventDefault()
    if (button.ariaBusy === 'true') return
    say(message, '')
    for (const field of form.querySelectorAll('[aria-invalid]')) field.ariaInvalid = null
    button.ariaBusy = 'true'
    try {
      await submit(Object.fromEntries(new FormData(form)))
    } catch (error) {
      say(message, error.message)
      const field = wrongField(form, error)
      if (field !== null) {
        field.ariaInvalid = 'true'
        field.select()
      }
    } finally {
      button.ariaBusy = 'false'
    }
  })
}
