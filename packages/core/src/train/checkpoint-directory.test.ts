import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { CotangentError, nn, noGrad, type Tensor, tensor } from 'cotangent'
import { CheckpointDirectory, loadCheckpoint } from 'cotangent/node'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bundle } from '../../test/bundle.ts'
import { notice, setNotice } from '../notice.ts'

let path: string
let notices: string[]
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'cotangent-'))
  notices = []
  setNotice((message) => notices.push(message))
})
afterEach(() => rmSync(path, { recursive: true, force: true }))

/** A part that is one number and one tensor. */
function counter(value = 0) {
  return {
    value,
    tensor: tensor([value, value / 2]),
    set(next: number) {
      this.value = next
      this.tensor.assign(tensor([next, next / 2]))
    },
    stateDict() {
      return { value: this.value, tensor: this.tensor }
    },
    loadStateDict(state: { value: number; tensor: Tensor }) {
      this.value = state.value
      this.tensor.assign(state.tensor)
    },
  }
}

const fileOf = (name: string) => join(path, `${name}.safetensors`)
const stepsIn = async (store: CheckpointDirectory) => (await store.list()).map(({ step }) => step)

async function saved(steps: readonly number[], options = {}) {
  const store = new CheckpointDirectory(path, options)
  const part = counter()
  const names: string[] = []
  for (const step of steps) {
    part.set(step)
    names.push(await store.save({ part }, { step, extra: { note: `at ${step}` } }))
  }
  return { store, part, names }
}

describe('a directory of checkpoints', () => {
  test('restores the latest, the best, and one by name', async () => {
    const store = new CheckpointDirectory(path, { monitor: 'loss', keepLast: 2, keepBest: 2 })
    const part = counter()
    const losses = [5, 1, 3, Number.NaN, 2, 4, 4]
    const names: string[] = []
    for (const [step, loss] of losses.entries()) {
      part.set(step)
      names.push(await store.save({ part }, { step, metrics: { loss, other: -0 }, extra: { step } }))
    }
    expect(await store.list()).toEqual(
      [1, 4, 5, 6].map((step) => ({ name: names[step], step, metrics: { loss: losses[step], other: -0 } })),
    )
    const other = counter()
    const fresh = new CheckpointDirectory(path, { monitor: 'loss' })
    expect(await fresh.restore({ part: other })).toEqual({ name: names[6], step: 6, metrics: { loss: 4, other: -0 }, extra: { step: 6 } })
    expect([other.value, other.tensor.toArray()]).toEqual([6, [6, 3]])
    expect((await fresh.restore({ part: other }, 'best'))?.step).toBe(1)
    expect(other.value).toBe(1)
    expect((await fresh.restore({ part: other }, names[4]!))?.step).toBe(4)
    expect((await fresh.restore({ part: other }, `${names[5]!}.safetensors`))?.step).toBe(5)
    const most = new CheckpointDirectory(path, { monitor: 'loss', mode: 'max' })
    expect((await most.restore({}, 'best'))?.step).toBe(5)
    // The same file is what loadCheckpoint reads.
    expect(await loadCheckpoint(fileOf(names[1]!), { part: other })).toEqual({ step: 1 })
    expect(notices).toEqual([])
  })

  test('knows the best by what the metric is called', async () => {
    const store = new CheckpointDirectory(path, { monitor: 'valAccuracy', keepLast: 1, keepBest: 1 })
    for (const [step, valAccuracy] of [0.4, 0.9, 0.7].entries()) await store.save({}, { step, metrics: { valAccuracy } })
    expect(await stepsIn(store)).toEqual([1, 2])
    expect((await store.restore({}, 'best'))?.step).toBe(1)
    expect(notices).toEqual([])
    for (const step of [3, 4]) await store.save({}, { step, metrics: { valAcuracy: 1, loss: 2 } })
    expect(notices).toEqual([expect.stringMatching(/known by valAccuracy, but this one has valAcuracy, loss/)])
  })

  test('is null where there is nothing, also no directory', async () => {
    const store = new CheckpointDirectory(join(path, 'a', 'b'), { monitor: 'x' })
    expect(await store.restore({})).toBeNull()
    expect(await store.restore({}, 'best')).toBeNull()
    expect(await store.list()).toEqual([])
    await store.save({ part: counter() }, { step: 0 })
    expect(await stepsIn(store)).toEqual([0])
    // Without the metric, none is best.
    expect(await store.restore({}, 'best')).toBeNull()
    await expect(store.restore({}, 'gone')).rejects.toMatchObject({ code: 'invalid-argument', message: /"gone".*There are 000001-step-0-/ })
  })

  test('keeps the last, and the first of every so many steps', async () => {
    const { store } = await saved([3, 8, 10, 17, 21, 29, 30, 34], { keepLast: 1, keepEvery: 10 })
    expect(await stepsIn(store)).toEqual([10, 21, 30, 34])
    expect(await stepsIn((await saved([1, 2, 3, 4, 5], { keepLast: Infinity })).store)).toHaveLength(9)
  })

  test('goes on from an older one, which then is the past', async () => {
    const { names } = await saved([10, 20, 30], { keepLast: 3 })
    const store = new CheckpointDirectory(path, { keepLast: 2 })
    await store.restore({}, names[0]!)
    await store.save({ part: counter() }, { step: 15 })
    expect(await stepsIn(store)).toEqual([30, 15])
    expect((await new CheckpointDirectory(path).restore({}))?.step).toBe(15)
  })

  test('copies the state at once, and saves in order', async () => {
    const store = new CheckpointDirectory(path, { keepLast: Infinity })
    const part = counter()
    const large = new nn.Linear(600, 600)
    const saves = Array.from({ length: 5 }, (_, step) => {
      part.set(step)
      noGrad(() => large.bias!.assign(step))
      return store.save({ part, large }, { step })
    })
    part.set(-1)
    noGrad(() => large.bias!.assign(-1))
    const names = await Promise.all(saves)
    expect(names).toEqual(names.toSorted())
    for (const [step, name] of names.entries()) {
      await store.restore({ part, large }, name)
      expect([part.value, part.tensor.toArray(), large.bias!.sum().item()]).toEqual([step, [step, step / 2], 600 * step])
    }
    expect(readdirSync(path)).toHaveLength(5)
  })

  test('refuses what makes no sense', async () => {
    for (const options of [
      { keepLast: 0 },
      { keepLast: 1.5 },
      { keepBest: 1 },
      { monitor: 'a', keepBest: -1 },
      { keepEvery: 0 },
      { mode: 'mean' as 'min' },
    ])
      expect(() => new CheckpointDirectory(path, options)).toThrow(CotangentError)
    const store = new CheckpointDirectory(path)
    await expect(store.save({}, { step: -1 })).rejects.toThrow(/-1 is no number of steps/)
    await expect(store.save({}, { step: 0.5 })).rejects.toThrow(/0.5 is no number of steps/)
    await expect(store.save({ part: { stateDict: () => () => 1, loadStateDict: () => {} } }, { step: 1 })).rejects.toThrow(/function/)
    await expect(store.restore({}, 'best')).rejects.toThrow(/metric that was not named/)
    await store.save({ part: counter(3) }, { step: 1 })
    await expect(store.restore({ part: counter(), more: counter() })).rejects.toThrow(/there is no more in this file, but part/)
    expect(readdirSync(path)).toHaveLength(1)
  })
})

describe('damage', () => {
  const damages: Record<string, (file: string) => void> = {
    'a half-written file': (file) => truncateSync(file, 200),
    'no bytes at all': (file) => truncateSync(file, 0),
    'data cut off': (file) => truncateSync(file, readFileSync(file).length - 1),
    'more than was written': (file) => writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.from('x')])),
    'one bit of the data': (file) => flip(file, -1),
    'one bit of the header': (file) => flip(file, 300),
    'another file': (file) => writeFileSync(file, 'This is not what it seems to be.'),
  }
  function flip(file: string, at: number) {
    const bytes = readFileSync(file)
    bytes[at < 0 ? bytes.length + at : at]! ^= 4
    writeFileSync(file, bytes)
  }

  test.each(Object.entries(damages))('%s: the one before is used, with a message', async (_, damage) => {
    const { names } = await saved([1, 2, 3])
    damage(fileOf(names[2]!))
    const part = counter()
    const store = new CheckpointDirectory(path)
    expect(await store.restore({ part })).toMatchObject({ step: 2, extra: { note: 'at 2' } })
    expect(part.value).toBe(2)
    expect(notices).toEqual([
      expect.stringMatching(new RegExp(`^Checkpoint ${names[2]} in .* is damaged: .* Going on from ${names[1]} \\(step 2\\)`)),
    ])
    await expect(store.restore({ part }, names[2]!)).rejects.toMatchObject({ code: 'corrupt-file' })
    // New ones come after it, and it does not count as one that is kept.
    await store.save({ part }, { step: 3 })
    expect(notices).toHaveLength(1)
    expect((await store.restore({}))?.step).toBe(3)
    for (const name of [names[0]!, names[1]!]) damage(fileOf(name))
    rmSync(fileOf((await store.list()).at(-1)!.name))
    await expect(new CheckpointDirectory(path).restore({ part })).rejects.toMatchObject({ code: 'corrupt-file' })
  })

  test('of the best', async () => {
    const store = new CheckpointDirectory(path, { monitor: 'loss', keepBest: 3 })
    const names = []
    for (const [step, loss] of [3, 1, 2].entries()) names.push(await store.save({ part: counter(step) }, { step, metrics: { loss } }))
    flip(fileOf(names[1]!), -1)
    expect((await store.restore({}, 'best'))?.step).toBe(2)
    expect(notices).toHaveLength(1)
  })

  test('files that another process has removed meanwhile are no damage', async () => {
    const { store, names } = await saved([1, 2, 3])
    rmSync(fileOf(names[2]!))
    expect((await store.restore({}))?.step).toBe(2)
    expect(notices).toEqual([])
  })
})

describe('what goes wrong outside', () => {
  test('a directory that is no directory', async () => {
    const file = join(path, 'file')
    writeFileSync(file, '')
    await expect(new CheckpointDirectory(file).save({}, { step: 1 })).rejects.toMatchObject({
      code: 'io-failure',
      message: /file cannot be written/,
    })
    await expect(new CheckpointDirectory(file).restore({})).rejects.toMatchObject({ code: 'io-failure' })
  })

  test('a directory that is gone is made again', async () => {
    const { store } = await saved([1])
    renameSync(path, `${path}-moved`)
    try {
      await store.save({ part: counter(2) }, { step: 2 })
      expect(await stepsIn(store)).toEqual([2])
    } finally {
      rmSync(`${path}-moved`, { recursive: true })
    }
  })

  let bundled: ReturnType<typeof bundle> | undefined
  /** Runs the program in `fixtures` in a process of its own, under conditions that `shell` makes. */
  async function elsewhere(shell: string) {
    bundled ??= bundle(new URL('../../test/fixtures/saves-checkpoints.ts', import.meta.url))
    const { code } = await bundled
    const program = join(path, 'program.mjs')
    const folder = join(path, 'checkpoints')
    writeFileSync(program, code)
    mkdirSync(folder)
    const { stdout, stderr, status } = spawnSync('bash', ['-c', shell], {
      env: { ...process.env, RUN: `${process.execPath} ${program} ${folder}`, FOLDER: folder },
      encoding: 'utf8',
    })
    const lines = stdout.trim().split('\n')
    return { lines, stderr, status, folder }
  }

  // A namespace of its own lets anyone mount file systems, where the kernel allows it.
  const canMount = process.platform === 'linux' && spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0

  test.runIf(canMount)('a full disk: a clear error, the last checkpoint intact, no litter', async () => {
    const { lines, stderr } = await elsewhere(
      `unshare -rm bash -c 'mount -t tmpfs -o size=1m tmpfs "$FOLDER" && $RUN 400000 && ls -A "$FOLDER"'`,
    )
    expect(stderr).toBe('')
    // Two fit.
    expect(lines.slice(0, 3)).toEqual(['saved 1', 'saved 2', expect.stringMatching(/^io-failure .*ENOSPC.* The disk is full/)])
    expect(lines.slice(3)).toEqual(['restored 2', expect.stringMatching(/^000001-step-1-/), expect.stringMatching(/^000002-step-2-/)])
  })

  test.runIf(canMount)('a read-only disk', async () => {
    const { lines, stderr } = await elsewhere(
      `unshare -rm bash -c 'mount -t tmpfs tmpfs "$FOLDER" && $RUN 10 2 && mount -o remount,ro "$FOLDER" && $RUN 10'`,
    )
    expect(stderr).toBe('')
    expect(lines).toEqual(['saved 1', 'saved 2', 'restored 2', expect.stringMatching(/^io-failure .*EROFS.* read-only/), 'restored 2'])
  })

  test.runIf(process.platform === 'linux')('a limit on the size of files', async () => {
    const { lines, stderr, folder } = await elsewhere('$RUN 10 2; ulimit -f 100; $RUN 200000')
    expect(stderr).toBe('')
    expect(lines).toEqual(['saved 1', 'saved 2', 'restored 2', expect.stringMatching(/^io-failure .*EFBIG.*ulimit/), 'restored 2'])
    expect(readdirSync(folder)).toHaveLength(2)
  })

  // Root may write everywhere, so it becomes somebody else.
  const asSomebody = process.getuid?.() === 0 ? 'setpriv --reuid=65534 --regid=65534 --clear-groups' : ''
  const canBecome = process.platform === 'linux' && spawnSync('bash', ['-c', `${asSomebody} true`]).status === 0

  test.runIf(canBecome)('a directory that may not be written', async () => {
    chmodSync(path, 0o755)
    const { lines, stderr, folder } = await elsewhere(`$RUN 10 2 && chmod 555 "$FOLDER" && ${asSomebody} $RUN 10; chmod 755 "$FOLDER"`)
    expect(stderr).toBe('')
    expect(lines).toEqual([
      'saved 1',
      'saved 2',
      'restored 2',
      expect.stringMatching(/^io-failure .*EACCES.* Check who may read and write there/),
      'restored 2',
    ])
    expect(readdirSync(folder)).toHaveLength(2)
  })

  test('processes that save into one directory at the same time', async () => {
    // 2 MB each, so that they are at it at the same time.
    const { lines, stderr, folder } = await elsewhere('$RUN 2000000 15 & $RUN 2000000 15 & wait')
    expect(stderr).toBe('')
    const store = new CheckpointDirectory(folder)
    const said = lines.filter((line) => line.startsWith('saved')).map((line) => Number(line.slice(6)))
    const ascending = (steps: readonly number[]) => steps.toSorted((x, y) => x - y)
    expect(said.length).toBeGreaterThanOrEqual(15)
    expect(ascending(await stepsIn(store))).toEqual(ascending(said))
    expect(readdirSync(folder)).toHaveLength(said.length)
    for (const { name } of await store.list()) expect((await store.restore({}, name))?.name).toBe(name)
  })

  test('what killed processes left is cleared away, what others are writing is not', async () => {
    const dead = spawnSync(process.execPath, ['-e', '0']).pid
    const host = hostname().replaceAll(/[^A-Za-z0-9]/g, '_')
    const id = '00000000-0000-4000-8000-000000000000'
    const put = (name: string, daysOld = 0) => {
      writeFileSync(join(path, name), 'half')
      const at = Date.now() / 1000 - daysOld * 86_400
      utimesSync(join(path, name), at, at)
      return name
    }
    put(`.cotangent-${host}-${dead}-${id}.tmp`)
    put(`.cotangent-${host}-${process.ppid}-${id}.tmp`, 2)
    put(`.cotangent-other-${dead}-${id}.tmp`, 2)
    // As many processes of this number as there are containers.
    put(`.cotangent-${host}-${process.pid}-${id}.tmp`, 0.5)
    const stay = [
      put(`.cotangent-${host}-${process.ppid}-${id.replace('4', '5')}.tmp`),
      put(`.cotangent-other-${dead}-${id.replace('4', '5')}.tmp`),
      put('notes.tmp', 9),
    ]
    await saved([1])
    expect(
      readdirSync(path)
        .filter((name) => name.endsWith('.tmp'))
        .sort(),
    ).toEqual(stay.sort())
  })

  test('old ones that cannot be removed do not end the training', async () => {
    const { store, names } = await saved([1], { keepLast: 1 })
    rmSync(fileOf(names[0]!))
    mkdirSync(join(fileOf(names[0]!), 'inside'), { recursive: true })
    await store.save({ part: counter() }, { step: 2 })
    expect(notices).toEqual([expect.stringMatching(/^Old checkpoints in .* cannot be removed/)])
    notice('heard')
    expect(notices).toHaveLength(2)
  })
})

test('two trainings in one directory leave each other alone', async () => {
  const first = await saved([100, 200, 300], { keepLast: 1 })
  const second = await saved([1, 2, 3], { keepLast: 1 })
  expect(await stepsIn(first.store)).toEqual([300, 3])
  await first.store.save({ part: counter(400) }, { step: 400 })
  await second.store.save({ part: counter(4) }, { step: 4 })
  expect(await stepsIn(second.store)).toEqual([400, 4])
  // What goes on from one of them takes it over, and only it.
  const third = new CheckpointDirectory(path, { keepLast: 1 })
  expect((await third.restore({}))?.step).toBe(4)
  await third.save({ part: counter(5) }, { step: 5 })
  expect(await stepsIn(third)).toEqual([400, 5])
  // And so does what goes on from that.
  const fourth = new CheckpointDirectory(path, { keepLast: 1 })
  await fourth.restore({})
  await fourth.save({ part: counter(6) }, { step: 6 })
  expect(await stepsIn(fourth)).toEqual([400, 6])
})
