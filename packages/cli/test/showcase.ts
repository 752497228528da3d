import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EventFileWriter } from '@cotangent/formats/tensorboard'
import { compile, nn, profile, tensor, uniform } from 'cotangent'
import { randomNumbers } from './sample-runs.ts'

const steps = 60

/** Runs that hold something of every kind that the board shows: three small trainings that differ in learning rate and optimiser. */
export async function writeShowcase(folder: string): Promise<void> {
  const started = Date.now() / 1000 - 900
  const settings = [
    { name: 'adam-lr1e-3', lr: 1e-3, optimizer: 'adam', width: 64, dropout: 0.1, floor: 0.21 },
    { name: 'adam-lr3e-4', lr: 3e-4, optimizer: 'adam', width: 128, dropout: 0.1, floor: 0.16 },
    { name: 'sgd-lr1e-1', lr: 0.1, optimizer: 'sgd', width: 64, dropout: 0.3, floor: 0.33 },
  ]
  for (const [r, { name, floor, ...hparams }] of settings.entries()) {
    const random = randomNumbers(r + 7)
    const gauss = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    const writer = new EventFileWriter(join(folder, name), { maxQueue: 1000 })
    writer.hparams(hparams, { 'val/loss': null, 'val/accuracy': null })
    writer.text(
      'notes/setup',
      `**${name}** trains a small classifier.\n\n- width \`${hparams.width}\`\n- dropout ${hparams.dropout}\n\nSee [the docs](https://example.com). <b>not bold</b>`,
      0,
    )
    writer.text(
      'notes/table',
      [
        ['layer', 'shape'],
        ['fc1', `[${hparams.width}, 2]`],
        ['fc2', `[1, ${hparams.width}]`],
      ],
      0,
    )
    for (let step = 0; step < steps; step++) {
      const t = step / (steps - 1)
      const wallTime = started + r * 120 + step * 8
      const loss = floor + 2 * Math.exp(-5 * t) + 0.05 * gauss()
      const at = { wallTime }
      writer.scalar('train/loss', loss, step * 50, { ...at, ...(step === 0 && { description: 'Cross entropy of a batch' }) })
      writer.scalar('train/accuracy', 1 - loss / 3.2, step * 50, at)
      writer.scalar('val/loss', loss * 1.1 + 0.03 * gauss(), step * 50, at)
      writer.scalar('val/accuracy', 1 - (loss * 1.1) / 3.2 + 0.01 * gauss(), step * 50, at)
      writer.scalar('optim/lr', (hparams.lr * (1 + Math.cos(Math.PI * t))) / 2, step * 50, at)
      writer.scalar('optim/grad-norm', step === 40 && r === 2 ? NaN : 3 * Math.exp(-3 * t) + Math.abs(0.2 * gauss()), step * 50, at)
      if (step % 2 === 0) {
        const weights = Float32Array.from({ length: 2000 }, () => (0.3 + t) * gauss() + (random() < 0.4 ? -1.5 * t : 0.5 * t))
        writer.histogram('fc1/weight', weights, step * 50, at)
        writer.histogram(
          'fc2/weight',
          weights.map((w) => w / 2 + 0.2),
          step * 50,
          at,
        )
      }
      if (step % 10 === 0) {
        writer.image('samples/field', field(t, r), step * 50, at)
        const truth = Float32Array.from({ length: 400 }, () => Number(random() < 0.4))
        const scores = truth.map((label) => 1 / (1 + Math.exp(-((label - 0.5) * 5 * t * (1 - floor) + gauss()))))
        writer.prCurve('val/pr', truth, scores, step * 50, at)
      }
    }
    writer.audio(
      'samples/tone',
      Float32Array.from({ length: 4000 }, (_, i) => 0.4 * Math.sin((i * 2 * Math.PI * 440 * (r + 1)) / 8000)),
      0,
      { sampleRate: 8000 },
    )
    if (r === 0) writeModel(writer, folder)
    await writer.close()
  }
}

/** A picture [3, 48, 64] of waves that sharpen with time. */
function field(t: number, phase: number) {
  const data = Float32Array.from({ length: 3 * 48 * 64 }, (_, i) => {
    const [c, y, x] = [Math.floor(i / (48 * 64)), Math.floor(i / 64) % 48, i % 64]
    return 0.5 + 0.5 * Math.tanh((1 + 4 * t) * Math.sin(x / 7 + c + phase) * Math.cos(y / 6 - c))
  })
  return tensor(data).reshape([3, 48, 64])
}

function writeModel(writer: EventFileWriter, folder: string): void {
  const model = new nn.Sequential(new nn.Linear(2, 64), new nn.ReLU(), new nn.Linear(64, 64), new nn.ReLU(), new nn.Linear(64, 1))
  const x = uniform([8, 2])
  const step = compile(() => model.forward(x).sum())
  step()
  writer.graph(step, { names: new Map(model.namedParameters()) })
  const measured = profile(() => {
    const loss = model.forward(x).pow(2).mean()
    loss.backward()
  })
  writer.profile('step', measured, 0)
  mkdirSync(join(folder, 'adam-lr1e-3', 'traces'), { recursive: true })
  writeFileSync(join(folder, 'adam-lr1e-3', 'traces', 'step.trace.json'), measured.toChromeTrace())
}
