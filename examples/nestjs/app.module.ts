import { Module } from '@nestjs/common'
import { APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core'
import { AccountController, UsersController } from './account.controller.js'
import { AuthController } from './auth.controller.js'
import { JwtErrors, JwtGuard } from './jwt.js'
import { UsersService } from './users.service.js'

@Module({
  controllers: [AuthController, AccountController, UsersController],
  providers: [
    UsersService,
    { provide: APP_GUARD, useClass: JwtGuard },
    { provide: APP_INTERCEPTOR, useClass: JwtErrors }
  ]
})
export class AppModule {}
