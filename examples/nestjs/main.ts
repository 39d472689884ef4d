// A NestJS app on Fastify: login, refresh and logout by cookie, roles, open routes. See README.md beside this file.
import 'reflect-metadata'
import { randomBytes } from 'node:crypto'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import jwt from 'fastify-jwt-extended'
import { AppModule } from './app.module.js'
import type { NestFastifyApplication } from '@nestjs/platform-fastify'

// One secret for all processes that share logins, at least 32 bytes, from outside the code.
const secretKey = process.env.JWT_SECRET_KEY ?? randomBytes(32)
if (typeof secretKey !== 'string') console.warn('JWT_SECRET_KEY is not set: using a random secret, so all logins end with this process')

// Behind a proxy that ends TLS: new FastifyAdapter({ trustProxy: … }), or cookies are not marked Secure.
const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(), { logger: ['error', 'warn'] })
// Before the app is initialised, so before its routes are there.
await app.register(jwt, { secretKey, tokenLocation: 'cookies' })
app.enableShutdownHooks()

await app.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? '127.0.0.1')
console.log(`Listening on ${await app.getUrl()}`)
