import { importRoom } from '../helpers/room.ts'

await importRoom('others')
