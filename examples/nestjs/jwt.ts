// fastify-jwt-extended in NestJS: a guard for the whole app, its decorators, and answers with code and challenge. A file to copy.
import { STATUS_CODES } from 'node:http'
import { createParamDecorator, HttpException, Injectable, SetMetadata } from '@nestjs/common'
import { Reflector } from '@nestjs/core'
import { authenticationOf } from 'fastify-jwt-extended'
import { catchError } from 'rxjs'
import type { CallHandler, CanActivate, ExecutionContext, NestInterceptor } from '@nestjs/common'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Authentication, JwtError, JwtHook, VerifyOptions } from 'fastify-jwt-extended'

const TOKEN = 'fastify-jwt-extended:token'
const REQUIRES = 'fastify-jwt-extended:requires'

/** Another token than an access token: `@Token({ type: 'refresh' })`, `@Token({ fresh: true })`. A method's own comes before its class's. */
export const Token = (options: VerifyOptions) => SetMetadata(TOKEN, options)

/** No token at all. */
export const Public = () => SetMetadata(TOKEN, false)

/** What must pass besides: `@Requires(role('admin'))`. Those of a class are for all of its methods, beside their own. */
export const Requires = (...hooks: JwtHook[]) => SetMetadata(REQUIRES, hooks)

/** Who a request is from: `@Auth('identity') name: string`, `@Auth() { claims, user }: Authentication`. */
export const Auth = createParamDecorator((part: keyof Authentication | undefined, context: ExecutionContext) => {
  const authentication = authenticationOf(context.switchToHttp().getRequest<FastifyRequest>())
  return part === undefined ? authentication : authentication[part]
})

/** A refusal as the exception that every filter knows, with its code in the body, and its challenge on the reply. */
function toException (error: unknown, context: ExecutionContext): unknown {
  if (!(error instanceof Error)) return error
  const { code, message, statusCode = 500, headers = {} } = error as JwtError
  // A 500 is a mistake of the app: Nest writes it to the log.
  if (statusCode === 500 || !String(code).startsWith('FST_JWT_')) return error
  context.switchToHttp().getResponse<FastifyReply>().headers(headers)
  return new HttpException({ statusCode, code, error: STATUS_CODES[statusCode], message }, statusCode, { cause: error })
}

@Injectable()
export class JwtGuard implements CanActivate {
  constructor (private readonly reflector: Reflector) {}

  async canActivate (context: ExecutionContext): Promise<boolean> {
    const http = context.switchToHttp()
    const [request, reply] = [http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>()]
    const [method, controller] = [context.getHandler(), context.getClass()]
    try {
      const token = this.reflector.getAllAndOverride<VerifyOptions | false | undefined>(TOKEN, [method, controller])
      if (token !== false) await request.verifyJwt(token)
      for (const hook of this.reflector.getAllAndMerge<JwtHook[]>(REQUIRES, [controller, method])) {
        await new Promise<void>((resolve, reject) => {
          hook(request, reply, error => { if (error === undefined) resolve(); else reject(error) })
        })
      }
    } catch (error) {
      throw toException(error, context)
    }
    return true
  }
}

/** For what a method throws itself, as `rotateSession` may. */
@Injectable()
export class JwtErrors implements NestInterceptor {
  intercept (context: ExecutionContext, next: CallHandler) {
    return next.handle().pipe(catchError(error => { throw toException(error, context) }))
  }
}
