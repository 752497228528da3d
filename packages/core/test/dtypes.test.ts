import { CotangentError, type DType, dtypes, engineNames, setEngine, zeros } from 'cotangent'
import { afterEach, expect, test } from 'vitest'
import { dtypeInfo } from '../src/dtype.ts'
import { type OpEntry, table } from '../src/op/table.ts'
import { describedIn, makeArguments, tensorsIn } from './samples.ts'

/** One letter a dtype, in the order of `dtypes`. */
const letters = {
  bool: 'b',
  uint8: 'u',
  int8: 'i',
  int32: 'I',
  int64: 'L',
  float16: 'h',
  bfloat16: 'H',
  float32: 'f',
  float64: 'd',
} as const satisfies Record<DType, string>

/**
 * What every op gives for inputs of each dtype: the dtypes of its results, `-` where it refuses. The columns are
 * bool uint8 int8 int32 int64 float16 bfloat16 float32 float64.
 *
 * As PyTorch, but: true arithmetic works in half precision on the CPU everywhere; sums and products of bool, uint8 and int8 are
 * int32 (there int64); indices and counts are int32 (there int64); relu, clamp, conv, matmul and pooling take integers and
 * bools too, and mean gives float32 for integers (refused there).
 */
const rows: Readonly<Record<string, string>> = {
  'b u i I L h H f d': [
    'newFull fullLike zerosLike floor ceil trunc round abs sign nanToNum relu relu6 hardTanh threshold contiguous clone',
    'reshape view flatten unflatten permute transpose moveAxis squeeze unsqueeze expand broadcastTo expandAs maskedFill',
    'maskedSelect slice narrow select flip at indexPut matmul linear dot outer max min add mul maximum minimum fmax fmin',
    'conv1d conv2d conv3d convTranspose1d convTranspose2d convTranspose3d concat stack tile repeat roll rot90 where cumMax',
    'cumMin diagonal diagEmbed diag tril triu einsum gather takeAlongAxis take indexSelect embedding interpolate pad',
    'maxPool1d maxPool2d maxPool3d adaptiveMaxPool1d adaptiveMaxPool2d adaptiveMaxPool3d repeatInterleave scatter',
    'scatterReduce indexAdd median windows tensordot diff',
  ].join(' '),
  'f f f f f h H f d': [
    'sqrt rsqrt reciprocal exp exp2 expm1 log log1p log2 log10 sigmoid logit sin cos tan asin acos atan sinh cosh tanh asinh',
    'acosh atanh deg2rad rad2deg frac leakyRelu elu celu selu gelu silu mish softplus softsign hardSigmoid hardSwish',
    'logSigmoid tanhShrink softShrink hardShrink glu mean nanSum nanMean logSumExp norm div atan2 hypot copysign xlogy',
    'logAddExp lerp softmax logSoftmax crossEntropy nllLoss clamp logCumSumExp cosineSimilarity cosineEmbeddingLoss mseLoss',
    'l1Loss smoothL1Loss huberLoss softMarginLoss hingeLoss hingeEmbeddingLoss klDivLoss poissonNllLoss bceLoss',
    'bceWithLogitsLoss adaptiveAvgPool1d adaptiveAvgPool2d adaptiveAvgPool3d quantile erf erfc erfinv lgamma digamma sinc',
    'variance std fakeQuantize normalize cdist',
  ].join(' '),
  'b b b b b b b b b': [
    'isNaN isInf isFinite logicalNot bernoulli any all eq ne lt le gt ge logicalAnd logicalOr logicalXor isClose allClose',
    'equal',
  ].join(' '),
  fixed: [
    'bitwiseNot nonzero uniform normal truncatedNormal randint permutation bitwiseAnd bitwiseOr bitwiseXor leftShift',
    'rightShift arange linspace logspace eye oneHot bincount',
  ].join(' '),
  '- - - - - h H f d': [
    'prelu dropout attentionWeights scaledDotProductAttention layerNorm rmsNorm batchNormWith groupNorm instanceNorm gruStep',
    'ctcLoss avgPool1d avgPool2d avgPool3d gridSample affineGrid',
  ].join(' '),
  'I I I I I I I I I': 'onesLike categorical argmax argmin countNonzero argSort searchSorted',
  '- u i I L h H f d': 'square neg sub floorDivide remainder fmod pow cross',
  'I I I I L h H f d': 'sum prod fitTo cumSum cumProd trace',
  'bbb uuu iii III LLL hhh HHH fff ddd': 'split chunk unbind timeSteps',
  '- f f f f h H f d': 'pairwiseDistance tripletMarginLoss gaussianNllLoss marginRankingLoss',
  '- - - - - hhh HHH fff ddd': 'recurrent',
  'bI uI iI II LI hI HI fI dI': 'sort topk kthvalue',
  'd d d d d d d d d': 'cast dequantize',
  'i i i i i i i i i': 'quantize',
  '- - - - - hff Hff fff ddd': 'batchNorm',
  'bb uu ii II LL hh HH ff dd': 'meshgrid',
  '- - - - - hh HH ff dd': 'lstmStep',
  'bII uII iII III LII hII HII fII dII': 'unique',
  'ff ff ff ff ff hh HH ff dd': 'varianceMean',
}

const expected = new Map(Object.entries(rows).flatMap(([row, names]) => names.split(' ').map((name) => [name, row])))
const ops = [...table.values()]

afterEach(() => {
  setEngine(engineNames()[0]!)
})

/** The first sample with a tensor whose dtype is open, or none. */
const openSample = (op: OpEntry) => op.samples().find((sample) => describedIn(sample.args).some(({ dtype }) => dtype === undefined))

function rowOf(op: OpEntry): string {
  const sample = openSample(op)
  if (!sample) return 'fixed'
  return dtypes
    .map((dtype) => {
      const results = attempt(op, () => tensorsIn(op.call(...makeArguments(op.name, sample, { dtype }))))
      return results ? results.map((y) => letters[y.dtype]).join('') : '-'
    })
    .join(' ')
}

/** Null where the op refuses; any other error is one. */
function attempt<T>(op: OpEntry, f: () => T): T | null {
  try {
    return f()
  } catch (error) {
    if (!(error instanceof CotangentError)) throw error
    // Targets of integers are class indices, of another shape.
    expect(['dtype-mismatch', 'invalid-argument', 'unsupported', 'shape-mismatch'], `${op.name}: ${error.message}`).toContain(error.code)
    return null
  }
}

test('every op says which dtypes it takes and gives', () => {
  setEngine('reference')
  const actual = new Map(ops.map((op) => [op.name, rowOf(op)]))
  const wrong = [...actual].filter(([name, row]) => expected.get(name) !== row)
  // A new op goes into the row that is named here, once you have seen that the row is right.
  expect(wrong.map(([name, row]) => `${name}: '${row}'`)).toEqual([])
  expect([...expected.keys()].filter((name) => !actual.has(name))).toEqual([])
})

test('bitwise ops take bools and integers', () => {
  for (const name of ['bitwiseAnd', 'bitwiseOr', 'bitwiseXor', 'leftShift', 'rightShift'] as const) {
    const row = dtypes.map((dtype) => {
      const x = zeros([2], { dtype })
      const y = attempt(table.get(name)!, () => x[name](x))
      return y ? letters[y.dtype] : '-'
    })
    expect(row.join(' '), name).toBe(name.endsWith('Shift') ? '- u i I L - - - -' : 'b u i I L - - - -')
  }
  expect(dtypes.map((dtype) => attempt(table.get('bitwiseNot')!, () => zeros([2], { dtype }).bitwiseNot().dtype))).toEqual([
    ...dtypes.slice(0, 5),
    ...dtypes.slice(5).map(() => null),
  ])
})

test.each(ops)('$name crashes on no dtype', (op) => {
  for (const sample of op.samples()) {
    for (const dtype of dtypes) {
      const results = attempt(op, () =>
        tensorsIn(op.call(...makeArguments(op.name, sample, { dtype }))).map((x) => [x, x.dataSync()] as const),
      )
      for (const [x, data] of results ?? []) {
        expect(data.length).toBe(x.size)
        const half = x.dtype === 'float16' || x.dtype === 'bfloat16'
        expect(data).toBeInstanceOf(half ? Float32Array : dtypeInfo[x.dtype].array)
      }
    }
  }
})
