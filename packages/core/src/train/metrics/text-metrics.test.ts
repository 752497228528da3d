import * as train from 'cotangent/train'
import { expect, test } from 'vitest'

const { Bleu, Rouge, bleuTokenizers, rougeTokens } = train.metrics

const hypotheses = ['the cat sat on the mat', 'a dog barked at it', '', 'all is well']
const references = [['the cat is on the mat', 'a cat sat on a mat'], 'the dog barked', ['nothing'], ['all is not well', 'all is well']]

test.each([() => new Bleu(), () => new Rouge({ types: ['rouge1', 'rougeL', 'rougeLsum'] })])(
  'the same however samples are split, merged, saved or reset',
  async (make) => {
    const whole = make()
    whole.update(hypotheses, references)
    const [one, two] = [make(), make()]
    one.update(hypotheses.slice(0, 1), references.slice(0, 1))
    one.update([], [])
    two.update(hypotheses.slice(1), references.slice(1))
    one.merge(two as never)
    const expected = await whole.compute()
    expect(JSON.stringify(expected)).not.toContain('null')
    expect(await one.compute()).toEqual(expected)
    two.loadStateDict(JSON.parse(JSON.stringify(whole.stateDict())))
    expect(await two.compute()).toEqual(expected)
    two.reset()
    two.update(hypotheses, references)
    expect(await two.compute()).toEqual(expected)
  },
)

test('details', async () => {
  const bleu = new Bleu({ maxOrder: 2, smoothing: 'none' })
  bleu.update(['a b c'], [['a b d e']])
  expect(await bleu.details()).toEqual({
    score: Math.exp(-1 / 3) * 100 * Math.sqrt(1 / 3),
    precisions: [200 / 3, 50],
    brevityPenalty: Math.exp(-1 / 3),
    hypothesisLength: 3,
    referenceLength: 4,
  })
  const rouge = new Rouge({ types: ['rouge1', 'rouge2'] })
  rouge.update(['a b c', 'x'], ['a b d e', 'x'])
  expect(await rouge.details()).toEqual({
    rouge1: { precision: (2 / 3 + 1) / 2, recall: 0.75, f: expect.closeTo((4 / 7 + 1) / 2, 12) as number },
    rouge2: { precision: 0.25, recall: (1 / 3 + 0) / 2, f: 0.2 },
  })
})

test('no samples, nothing in common, tokenizers of your own', async () => {
  expect(await new Bleu().compute()).toBeNaN()
  expect(await new Rouge().compute()).toEqual({ rouge1: Number.NaN, rouge2: Number.NaN, rougeL: Number.NaN })
  const bleu = new Bleu({ tokenize: (text) => text.split('-') })
  bleu.update(['a-b'], ['c-d'])
  expect(await bleu.compute()).toBe(0)
  bleu.update(['a-b-c-d-e'], ['a-b-c-d-e'])
  expect(await bleu.compute()).toBeGreaterThan(50)
  const stemmed = new Rouge({ types: ['rouge1'], tokenize: (text) => rougeTokens(text).map((word) => word.replace(/s$/, '')) })
  stemmed.update(['cats'], ['Cat!'])
  expect(await stemmed.compute()).toEqual({ rouge1: 1 })
  expect(bleuTokenizers['13a']('Hi, 3.5-4 (x)')).toEqual(['Hi', ',', '3.5', '-', '4', '(', 'x', ')'])
})

test('what does not fit is refused', () => {
  expect(() => new Bleu().update('a' as never, ['a'])).toThrow(/the hypotheses are no array of texts. Pass several at once/)
  expect(() => new Rouge().update(['a'], [3] as never)).toThrow(/the references are no array/)
  expect(() => new Bleu().update(['a'], [])).toThrow(/1 hypotheses, and references for 0/)
  expect(() => new Bleu().update(['a'], [[]])).toThrow(/references for 0/)
  expect(() => new Bleu({ maxOrder: 0 })).toThrow(/maxOrder is 0/)
  expect(() => new Bleu({ tokenize: 'zh' as 'char' })).toThrow(/no tokenizer zh/)
  expect(() => new Rouge({ types: ['rougeX' as 'rougeL'] })).toThrow(/no rougeX/)
  expect(() => new Bleu().merge(new Bleu({ maxOrder: 2 }))).toThrow(/7 numbers instead of 11/)
})
