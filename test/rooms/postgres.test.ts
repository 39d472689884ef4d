import { importRoom } from '../helpers/room.ts'

await importRoom('stores/postgres')
