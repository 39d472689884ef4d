// Stands for your database.
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { Injectable } from '@nestjs/common'

interface User { roles: string[], salt: string, hash: string }

const derive = promisify<string, Buffer, number, Buffer>(scrypt)

// Compared with the password of an unknown user: no password has this hash.
const nobody: User = { roles: [], salt: randomBytes(16).toString('base64url'), hash: randomBytes(32).toString('base64url') }

@Injectable()
export class UsersService {
  // Salt and hash of each password (node:crypto's scrypt, RFC 7914).
  private readonly users = new Map<string, User>([
    ['ada', { roles: ['admin'], salt: 'KcXLS5Q8aMcebRoh4MWAVA', hash: 'T7-iNDogTC627gZ5NxRH7bjBgpHbuRn2HwUcLdAC9zg' }],
    ['bob', { roles: [], salt: 'sor5syW8GH_4Kt_7XfmDWQ', hash: 'bBfcy6hWitJotqs6nDRnnwbs7cP95QKTDeUi2wbkOTs' }]
  ])

  /** Takes as long for an unknown user as for a wrong password, so that nobody can find out names by the time it takes. */
  async findByPassword (name: string, password: string): Promise<User | null> {
    const user = this.users.get(name) ?? nobody
    const expected = Buffer.from(user.hash, 'base64url')
    return timingSafeEqual(await derive(password, Buffer.from(user.salt, 'base64url'), expected.length), expected) ? user : null
  }

  names (): string[] {
    return [...this.users.keys()]
  }
}
