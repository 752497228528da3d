import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crossEntropy, manualSeed, nn, optim, relu, tensor } from 'cotangent'
import * as data from 'cotangent/data'
import { CheckpointDirectory, fileBytes } from 'cotangent/node'
import * as train from 'cotangent/train'
import { afterAll, expect, test } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'cotangent-lost-data-'))
afterAll(() => rmSync(folder, { recursive: true }))

const files = Array.from({ length: 4 }, (_, part) => {
  const path = join(folder, `part-${part}.jsonl`)
  const rows = Array.from({ length: 40 }, (_, i) => {
    const x = Array.from({ length: 4 }, (_, k) => Math.sin(1 + i * 7 + k * 3 + part * 11))
    return JSON.stringify({ x, y: i % 3 })
  })
  writeFileSync(path, `${rows.join('\n')}\n`)
  return path
})

/** Mixed precision, dropout, a schedule, shuffled lines of four files: all of it has a state. */
function training() {
  manualSeed(5)
  const model = nn.sequential(new nn.Linear(4, 16), new nn.Dropout(0.2), relu, new nn.Linear(16, 3))
  const optimizer = new optim.AdamW(model, { lr: 1e-2 })
  const batches = data.Dataset.from(files)
    .flatMap((path) => data.jsonLines<{ x: number[]; y: number }>(fileBytes(path)))
    .map(({ x, y }) => [tensor(x), tensor(y, { dtype: 'int32' })] as const)
    .shuffle({ bufferSize: 16 })
    .batch(8)
  const schedule = { step: new optim.ExponentialLR(optimizer, { gamma: 0.99 }) }
  const trainer = new train.Trainer(model, { optimizer, loss: crossEntropy, display: 'quiet', precision: 'float16', schedule })
  return { model, trainer, batches }
}
const weightsOf = (model: nn.Module) => [...model.parameters()].map((parameter) => parameter.toArray())
const checkpoints = () => new CheckpointDirectory(join(folder, 'checkpoints'), { keepLast: 2 })

test('a data file that is deleted in the middle of an epoch: a clear error, the last checkpoint intact, and the same end once it is back', async () => {
  const straight = training()
  await straight.trainer.fit(straight.batches, { epochs: 3 })

  const broken = training()
  const before = checkpoints()
  const removal: train.Callback = {
    // Of the second epoch, of which 20 are one.
    onStepEnd: ({ step }) => void (step === 25 && renameSync(files[2]!, `${files[2]!}.gone`)),
  }
  const callbacks = [new train.ModelCheckpoint(before, { everySteps: 3 }), removal]
  await expect(broken.trainer.fit(broken.batches, { epochs: 3, resume: before, callbacks })).rejects.toMatchObject({
    code: 'io-failure',
    message: /part-2\.jsonl cannot be read: ENOENT.* whether something has removed it/,
  })
  const left = await checkpoints().list()
  expect(left.at(-1)!.step).toBeGreaterThanOrEqual(24)

  renameSync(`${files[2]!}.gone`, files[2]!)
  const resumed = training()
  const after = checkpoints()
  await resumed.trainer.fit(resumed.batches, { epochs: 3, resume: after, callbacks: [new train.ModelCheckpoint(after)] })
  expect(weightsOf(resumed.model)).toEqual(weightsOf(straight.model))
})
