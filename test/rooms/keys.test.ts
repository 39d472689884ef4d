import { importRoom } from '../helpers/room.ts'

await importRoom('keys')
