import { expect, it } from 'vitest'
import { installedBackends } from './installed-backend.ts'
import { registerRoutineBackend, type RoutineBackend, routineBackends } from './routine-backend.ts'

it('backends that were registered come in order, each once', () => {
  const backend = (name: string): RoutineBackend => ({ name, attach: () => ({ prepare: () => undefined }) })
  const [first, second] = [backend('first'), backend('second')]
  for (const each of [first, second, first]) registerRoutineBackend(each)
  expect(routineBackends().map(({ name }) => name)).toEqual(['first', 'second'])
  const notices: string[] = []
  expect(installedBackends((message) => notices.push(message)).slice(0, 2)).toEqual([first, second])
  if (process.env.COTANGENT_NATIVE === '0') expect(installedBackends((message) => notices.push(message))).toHaveLength(2)
  expect(notices).toEqual([])
})
