// Protected routes. The guard is for the whole app: a route without a decorator wants an access token.
import { Controller, Get, HttpCode, Post, Req } from '@nestjs/common'
import { role } from 'fastify-jwt-extended'
import { Auth, Public, Requires, Token } from './jwt.js'
import { UsersService } from './users.service.js'
import type { FastifyRequest } from 'fastify'
import type { Authentication } from 'fastify-jwt-extended'

@Controller()
export class AccountController {
  @Get('me')
  me (@Auth('identity') name: string) {
    return { name }
  }

  @Get('session')
  session (@Auth() { identity, claims }: Authentication<{ roles: string[] }>) {
    return { name: identity, roles: claims.roles, expires: claims.exp }
  }

  @Post('password')
  @HttpCode(200)
  @Token({ fresh: true })
  password () {
    return { changed: true }
  }

  @Get('greeting')
  @Token({ optional: true })
  greeting (@Req() { jwtIdentity }: FastifyRequest) {
    return { hello: jwtIdentity ?? 'stranger' }
  }

  @Get('health')
  @Public()
  health () {
    return { up: true }
  }
}

@Controller('users')
@Requires(role('admin'))
export class UsersController {
  constructor (private readonly users: UsersService) {}

  @Get()
  list () {
    return { users: this.users.names() }
  }

  // The role, too: what the class requires, its methods can't do without.
  @Get('open')
  @Public()
  open () {
    return { never: true }
  }
}
