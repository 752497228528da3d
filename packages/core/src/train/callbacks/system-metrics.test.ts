import { totalmem } from 'node:os'
import { MachineLoad, SystemMetrics } from 'cotangent/node'
import { expect, test } from 'vitest'
import { batchesOf, points, smallTrainer } from '../../../test/small-training.ts'

test('how busy the machine is goes beside the scalars of a training', async () => {
  const seen = new Map<string, { value: number; step: number }[]>()
  const writer = {
    scalar(tag: string, value: number, step: number) {
      seen.set(tag, [...(seen.get(tag) ?? []), { value, step }])
    },
  }
  await smallTrainer().fit(batchesOf(points()), { epochs: 2, callbacks: [new SystemMetrics(writer, { everySeconds: 0 })] })
  expect([...seen.keys()]).toEqual(['system/cpu', 'system/memory', 'system/process-cpu', 'system/process-memory'])
  for (const samples of seen.values()) expect(samples.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1))
  for (const tag of ['system/cpu', 'system/process-cpu']) {
    for (const { value } of seen.get(tag)!) expect(value >= 0 && value <= 100).toBe(true)
  }
  const memory = seen.get('system/process-memory')!.at(-1)!.value
  expect(memory).toBeGreaterThan(0.02)
  expect(memory).toBeLessThan(totalmem() / 1e9)
})

test('samples are apart by the time that was asked for', async () => {
  let samples = 0
  const writer = { scalar: () => void samples++ }
  await smallTrainer().fit(batchesOf(points()), { callbacks: [new SystemMetrics(writer, { everySeconds: 3600 })] })
  expect(samples).toBe(0)
  for (const everySeconds of [-1, Number.NaN]) expect(() => new SystemMetrics(writer, { everySeconds })).toThrow('0 or more seconds')
})

test('a process that computes is busy', () => {
  const load = new MachineLoad()
  const until = performance.now() + 200
  let sum = 0
  while (performance.now() < until) sum += Math.sqrt(sum + 1)
  const { processCpu, cores, cpu, memory, totalMemory } = load.sample()
  expect(sum).toBeGreaterThan(0)
  expect(processCpu).toBeGreaterThan(0.1 / cores.length)
  expect(cpu).toBeGreaterThan(0)
  expect(memory > 0 && memory < totalMemory).toBe(true)
})
