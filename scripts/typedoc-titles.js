// A plugin of typedoc: a guide is listed by its heading, and not by the name of its file. A slash would make a folder of it.
import { Converter } from 'typedoc'

/** @param {import('typedoc').Application} app */
export function load (app) {
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, document) => {
    const [heading] = document.content
    const [, title] = /^# (.+)$/m.exec(heading?.text ?? '') ?? []
    if (title !== undefined) document.name = title.replaceAll('`', '').replaceAll('/', '\u2215')
  })
}
