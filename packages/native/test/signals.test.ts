import { describe, it } from 'vitest'
import { loaded } from './engines.ts'
import { run } from './processes.ts'

// Of matrices whose rows lie apart: oneDNN has code for them that needs the stack pointer for something else.
const products = `
import { normal } from 'cotangent'
const m = normal([96, 400])
/** For some milliseconds. */
function multiply(time) {
  const end = performance.now() + time
  let count = 0
  for (; performance.now() < end; count++) {
    const x = m.narrow(1, 0, 300 + (count % 8))
    x.matmul(x.transpose(0, 1)).dispose()
  }
  return count
}`

describe.skipIf(!loaded)('products are computed and nothing else is written', { concurrent: true }, () => {
  it('while a profiler interrupts them', async ({ expect }) => {
    const { stdout } = await run(
      `${products}
      import { Session } from 'node:inspector'
      const session = new Session()
      session.connect()
      session.post('Profiler.enable')
      session.post('Profiler.setSamplingInterval', { interval: 50 })
      session.post('Profiler.start')
      const count = multiply(300)
      session.post('Profiler.stop', (_, { profile }) => console.log(count > 0, profile.samples.length > 10))`,
      { COTANGENT_THREADS: '1' },
    )
    expect(stdout).toBe('true true\n')
  })

  it('while signals come that the program listens to', async ({ expect }) => {
    const { stdout } = await run(
      `${products}
      import { spawn } from 'node:child_process'
      import { setImmediate } from 'node:timers/promises'
      let signals = 0
      process.on('SIGUSR2', () => signals++)
      const sender = spawn('sh', ['-c', 'while kill -s USR2 $0; do :; done', String(process.pid)])
      while (signals === 0) await setImmediate()
      // Node drops signals that wait for more than 4096 others, so it gets to see them now and then.
      for (let i = 0; i < 30; i++) {
        multiply(10)
        await setImmediate()
      }
      sender.once('exit', () => console.log(signals > 10))
      sender.kill()`,
      { COTANGENT_THREADS: '2' },
    )
    expect(stdout).toBe('true\n')
  })
})
