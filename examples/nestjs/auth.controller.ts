// Login, refresh and logout. Both tokens are in cookies that no script can read.
import { BadRequestException, Body, Controller, HttpCode, Post, Req, Res, UnauthorizedException } from '@nestjs/common'
import { crossOriginProtection } from 'fastify-jwt-extended'
import { Public, Requires, Token } from './jwt.js'
import { UsersService } from './users.service.js'
import type { PipeTransform } from '@nestjs/common'
import type { FastifyReply, FastifyRequest } from 'fastify'

interface Credentials { name: string, password: string }

/** In your app, a ValidationPipe may do this. */
class CredentialsPipe implements PipeTransform<unknown, Credentials> {
  transform (body: unknown): Credentials {
    const { name, password } = (body ?? {}) as Partial<Credentials>
    // A limit on what is hashed: scrypt is slow on purpose.
    if (typeof name === 'string' && typeof password === 'string' && password.length <= 200) return { name, password }
    throw new BadRequestException('A name and a password are needed')
  }
}

@Controller()
export class AuthController {
  constructor (private readonly users: UsersService) {}

  @Post('login')
  @HttpCode(200)
  @Public()
  @Requires(crossOriginProtection)
  async login (@Body(CredentialsPipe) { name, password }: Credentials, @Req() { server: { jwt } }: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    const user = await this.users.findByPassword(name, password)
    // The same answer for a wrong name and a wrong password.
    if (user === null) throw new UnauthorizedException('Wrong name or password')
    jwt.setSessionCookies(reply, await jwt.createSession(name, { claims: { roles: user.roles } }))
    return { loggedIn: true }
  }

  @Post('refresh')
  @HttpCode(200)
  @Token({ type: 'refresh' })
  async refresh (@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    const { jwt } = request.server
    jwt.setSessionCookies(reply, await jwt.rotateSession(request))
    return { refreshed: true }
  }

  // By whatever token is left: a login that has expired can be ended, too.
  @Post('logout')
  @HttpCode(200)
  @Public()
  @Requires(crossOriginProtection)
  async logout (@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    return { loggedOut: await request.server.jwt.clearSession(request, reply) }
  }
}
