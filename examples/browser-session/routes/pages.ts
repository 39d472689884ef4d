import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyPluginAsync } from 'fastify'

/** The files of the site: the same for everybody, with nothing personal in them. */
const pages: FastifyPluginAsync = async app => {
  await app.register(fastifyStatic, {
    root: fileURLToPath(new URL('../public', import.meta.url)),
    // /profile is profile.html
    extensions: ['html'],
    setHeaders (reply, path) {
      // A script fills this page with what is personal, and a browser that may store it would show it again, filled,
      // when someone goes back.
      if (path.endsWith('.html')) reply.header('cache-control', 'no-store')
    }
  })

  // Where browsers look for it on their own.
  app.get('/favicon.ico', async (_request, reply) => reply.sendFile('latchkey.svg'))

  // People get a page, programs the answer that they know.
  app.setNotFoundHandler(async (request, reply) => {
    reply.code(404)
    if (request.headers.accept?.includes('text/html')) return reply.sendFile('404.html')
    return { statusCode: 404, error: 'Not Found', message: `${request.method} ${request.url} is nothing here` }
  })

  // A style sheet from npm, served from here: no other host learns who visits, and the CSP needs name none.
  await app.register(fastifyStatic, {
    root: fileURLToPath(new URL('.', import.meta.resolve('@picocss/pico/css/pico.classless.jade.min.css'))),
    prefix: '/pico/',
    allowedPath: path => path === '/pico.classless.jade.min.css',
    decorateReply: false
  })

  // The plugin's client for browsers, as it comes: one file, which no bundler has to go over.
  await app.register(fastifyStatic, {
    root: fileURLToPath(new URL('.', import.meta.resolve('fastify-jwt-extended/browser'))),
    prefix: '/client/',
    allowedPath: path => path === '/fetch.js',
    decorateReply: false
  })
}

export default pages
