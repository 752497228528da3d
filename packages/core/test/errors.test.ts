import {
  arange,
  avgPool1d,
  backward,
  bincount,
  checkpoint,
  compile,
  concat,
  conv1d,
  conv2d,
  convTranspose2d,
  crossEntropy,
  detectAnomaly,
  dropout,
  type DType,
  einsum,
  embedding,
  enableGrad,
  engineNamed,
  engineNames,
  type ErrorCode,
  eye,
  full,
  Generator,
  grad,
  layerNorm,
  linear,
  linspace,
  manualSeed,
  maxPool1d,
  maxPool2d,
  mseLoss,
  nllLoss,
  nn,
  noGrad,
  normal,
  ones,
  optim,
  pad,
  randint,
  searchSorted,
  setEngine,
  setThreads,
  stack,
  type Tensor,
  tensor,
  tidy,
  uniform,
  valueAndGrad,
  where,
  zeros,
} from 'cotangent'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { expectError } from './bad-call.ts'

type BadCall = readonly [what: string, code: ErrorCode, message: RegExp, call: () => unknown]

const x23 = () => ones([2, 3])
const ints = (...values: number[]) => tensor(values, { dtype: 'int32' })
/** For calls that the types forbid. */
const untyped = (x: unknown) => x as never

const shapes: readonly BadCall[] = [
  ['add', 'shape-mismatch', /add: sizes 3 and 4 at axis -1.*\[2, 3\], \[2, 4\]/, () => x23().add(untyped(ones([2, 4])))],
  ['add of other ranks', 'shape-mismatch', /sizes 3 and 2 at axis -1/, () => x23().add(untyped(ones([2])))],
  ['where', 'shape-mismatch', /where.*broadcast/, () => (where as (...args: unknown[]) => unknown)(ones([2]).gt(0), x23(), ones([4]))],
  ['matmul', 'shape-mismatch', /matmul: .*3.*4/, () => x23().matmul(untyped(ones([4, 5])))],
  ['matmul of a 0-d tensor', 'shape-mismatch', /matmul/, () => x23().matmul(untyped(tensor(1)))],
  ['matmul batches', 'shape-mismatch', /matmul: sizes 2 and 3/, () => ones([2, 3, 4]).matmul(untyped(ones([3, 4, 5])))],
  ['dot', 'shape-mismatch', /matmul|dot/, () => ones([3]).dot(untyped(ones([4])))],
  ['outer', 'shape-mismatch', /outer/, () => x23().outer(untyped(ones([4])))],
  ['linear', 'shape-mismatch', /linear: .*3.*4/, () => linear(x23(), untyped(ones([4, 5])))],
  ['linear bias', 'shape-mismatch', /linear: .*bias/, () => linear(x23(), ones([3, 5]), untyped(ones([4])))],
  ['nn.Linear', 'shape-mismatch', /linear/, () => new nn.Linear(4, 5).forward(untyped(x23()))],
  ['conv2d channels', 'shape-mismatch', /conv2d: .*3.*4/, () => conv2d(ones([1, 5, 5, 3]), untyped(ones([3, 3, 4, 8])))],
  ['conv2d rank', 'shape-mismatch', /conv2d/, () => conv2d(ones([5, 5, 3]), untyped(ones([3, 3, 3, 8])))],
  ['conv2d groups', 'shape-mismatch', /conv2d: .*group/, () => conv2d(ones([1, 5, 5, 3]), untyped(ones([3, 3, 1, 8])), { groups: 3 })],
  ['conv2d kernel too large', 'shape-mismatch', /conv2d/, () => conv2d(ones([1, 2, 2, 3]), untyped(ones([3, 3, 3, 8])))],
  ['conv2d bias', 'shape-mismatch', /conv2d/, () => conv2d(ones([1, 5, 5, 3]), untyped(ones([3, 3, 3, 8])), { bias: untyped(ones([7])) })],
  ['convTranspose2d', 'shape-mismatch', /convTranspose2d/, () => convTranspose2d(ones([1, 5, 5, 3]), untyped(ones([3, 3, 8, 4])))],
  ['maxPool2d rank', 'shape-mismatch', /maxPool2d/, () => maxPool2d(untyped(ones([5, 5])), 2)],
  ['maxPool2d too large', 'shape-mismatch', /maxPool2d/, () => maxPool2d(ones([1, 2, 2, 1]), 3)],
  ['concat', 'shape-mismatch', /concat/, () => concat([x23(), ones([2, 4])] as Tensor[], 0)],
  ['concat of other ranks', 'shape-mismatch', /concat/, () => concat([x23(), ones([2])] as Tensor[], 0)],
  ['concat of nothing', 'invalid-argument', /concat/, () => concat([])],
  ['stack', 'shape-mismatch', /stack/, () => stack([x23(), ones([3, 2])] as Tensor[])],
  ['layerNorm', 'shape-mismatch', /layerNorm/, () => layerNorm(x23(), 4)],
  ['layerNorm weight', 'shape-mismatch', /layerNorm/, () => layerNorm(x23(), 3, { weight: untyped(ones([4])) })],
  ['crossEntropy', 'shape-mismatch', /crossEntropy/, () => crossEntropy(x23(), ints(0, 1, 2))],
  ['crossEntropy weight', 'shape-mismatch', /crossEntropy/, () => crossEntropy(x23(), ints(0, 1), { weight: ones([2]) })],
  ['nllLoss', 'shape-mismatch', /nllLoss/, () => nllLoss(x23(), ints(0))],
  ['reshape', 'shape-mismatch', /reshape: 6 elements do not fill \[2, 4\]/, () => (x23() as Tensor).reshape([2, 4])],
  ['reshape with -1', 'shape-mismatch', /reshape/, () => (x23() as Tensor).reshape([4, -1])],
  ['expand', 'shape-mismatch', /expand/, () => (x23() as Tensor).expand([4, 3])],
  ['squeeze', 'shape-mismatch', /squeeze/, () => x23().squeeze(untyped(1))],
  ['unflatten', 'shape-mismatch', /unflatten/, () => (x23() as Tensor).unflatten(1, [2, 2])],
  ['einsum sizes', 'shape-mismatch', /einsum/, () => einsum('ij,jk->ik', x23() as Tensor, ones([4, 2]) as Tensor)],
  ['gather', 'shape-mismatch', /gather/, () => x23().gather(1, ints(0) as Tensor)],
  ['scatter source', 'shape-mismatch', /scatter/, () => zeros([3]).scatter(0, ints(0, 1), ones([1]) as Tensor)],
  ['item', 'shape-mismatch', /item: a tensor of 6 elements/, () => x23().item()],
  ['split', 'shape-mismatch', /split/, () => (x23() as Tensor).split([1, 1], 1)],
  ['typed array', 'shape-mismatch', /tensor: 4 values/, () => tensor(new Float32Array(4), { shape: [2, 3] })],
  ['trace of a vector', 'shape-mismatch', /trace/, () => (ones([3]) as Tensor).trace()],
  ['tril of a vector', 'shape-mismatch', /tril/, () => (ones([3]) as Tensor).tril()],
  [
    'backward gradient',
    'shape-mismatch',
    /backward/,
    () =>
      x23()
        .setRequiresGrad()
        .mul(2)
        .backward({ gradient: ones([3]) as Tensor }),
  ],
  ['assign', 'shape-mismatch', /assign/, () => (x23() as Tensor).assign(ones([4]))],
  ['mask', 'shape-mismatch', /at|mask/, () => (x23() as Tensor).at(ones([3]).gt(0) as Tensor)],
  ['maskedFill', 'shape-mismatch', /does not expand|maskedFill/, () => (x23() as Tensor).maskedFill(ones([4]).gt(0) as Tensor, 0)],
  ['mseLoss', 'shape-mismatch', /mseLoss|sub/, () => mseLoss(x23() as Tensor, ones([4]) as Tensor)],
  ['searchSorted', 'shape-mismatch', /searchSorted/, () => searchSorted(x23() as Tensor, ones([4]) as Tensor)],
]

const dtypeErrors: readonly BadCall[] = [
  ['bitwiseAnd of floats', 'dtype-mismatch', /bitwiseAnd.*float32/, () => x23().bitwiseAnd(ones([3]) as never)],
  ['leftShift of floats', 'dtype-mismatch', /leftShift/, () => x23().leftShift(1)],
  ['bitwiseNot of floats', 'dtype-mismatch', /bitwiseNot/, () => x23().bitwiseNot()],
  ['neg of bools', 'dtype-mismatch', /neg.*bool/, () => x23().gt(0).neg()],
  ['requiresGrad of integers', 'no-gradient', /int32 tensor cannot require gradients/, () => ints(1).setRequiresGrad()],
  ['requiresGrad as an option', 'no-gradient', /int64/, () => tensor([1n], { requiresGrad: true })],
  ['indices that are floats', 'dtype-mismatch', /take.*float32/, () => x23().take(ones([2]) as never, 0)],
  ['embedding of floats', 'dtype-mismatch', /embedding.*float32/, () => embedding(x23(), ones([2]))],
  ['gather by bools', 'dtype-mismatch', /gather/, () => x23().gather(0, x23().gt(0) as Tensor)],
  ['class indices that are bools', 'dtype-mismatch', /crossEntropy|nllLoss/, () => nllLoss(x23(), ones([2]).gt(0) as Tensor)],
  ['bincount of floats', 'dtype-mismatch', /bincount/, () => bincount(ones([3]))],
  ['dropout of integers', 'dtype-mismatch', /dropout/, () => dropout(ints(1, 2), 0.5)],
  ['layerNorm of integers', 'dtype-mismatch', /layerNorm.*int32/, () => layerNorm(ints(1, 2), 2)],
  ['avgPool of integers', 'dtype-mismatch', /avgPool1d/, () => avgPool1d(ones([1, 4, 1]).cast('int32'), 2)],
  ['normal integers', 'dtype-mismatch', /normal/, () => normal([2], { dtype: 'int32' })],
  ['unknown dtype in tensor', 'invalid-argument', /unknown dtype float8/, () => tensor([1], { dtype: 'float8' as DType })],
  ['unknown dtype in zeros', 'invalid-argument', /unknown dtype float/, () => zeros([2], { dtype: 'float' as DType })],
  ['unknown dtype in cast', 'invalid-argument', /cast: unknown dtype toString/, () => x23().cast('toString' as DType)],
  ['unknown dtype in arange', 'invalid-argument', /unknown dtype/, () => arange(3, { dtype: 'double' as DType })],
  ['unknown dtype in uniform', 'invalid-argument', /unknown dtype/, () => uniform([3], { dtype: 'double' as DType })],
  ['unknown dtype in eye', 'invalid-argument', /unknown dtype/, () => eye(3, { dtype: 'double' as DType })],
  ['unknown dtype in linspace', 'invalid-argument', /unknown dtype/, () => linspace(0, 1, 3, { dtype: 'double' as DType })],
  ['unknown dtype in a layer', 'invalid-argument', /unknown dtype/, () => new nn.Linear(2, 2, { dtype: 'double' as DType })],
]

const w = () =>
  tensor([
    [1, 2, 3],
    [4, 5, 6],
  ])
const indices: readonly BadCall[] = [2, -3].flatMap((i): BadCall[] => [
  [
    `gather ${i}`,
    'index-out-of-range',
    new RegExp(`gather: index ${i} .*axis 0 of size 2`),
    () => w().gather(0, tensor([[i]], { dtype: 'int32' })),
  ],
  [`take ${i}`, 'index-out-of-range', new RegExp(`take: index ${i} `), () => w().take([0, i], 0)],
  [`takeAlongAxis ${i}`, 'index-out-of-range', /takeAlongAxis/, () => w().takeAlongAxis(tensor([[i, 0, 0]], { dtype: 'int32' }), 0)],
  [`indexSelect ${i}`, 'index-out-of-range', new RegExp(`index ${i} `), () => w().indexSelect(0, [i])],
  [`embedding ${i}`, 'index-out-of-range', new RegExp(`embedding: index ${i} `), () => embedding(w(), ints(i))],
  [`at ${i}`, 'index-out-of-range', new RegExp(`index ${i} `), () => (w() as Tensor).at(i)],
  [`at [${i}]`, 'index-out-of-range', new RegExp(`index ${i} `), () => (w() as Tensor).at([0, i])],
  [`at a tensor of ${i}`, 'index-out-of-range', new RegExp(`index ${i} `), () => (w() as Tensor).at(ints(i))],
  [`select ${i}`, 'index-out-of-range', new RegExp(`index ${i} `), () => (w() as Tensor).select(0, i)],
  [`indexPut ${i}`, 'index-out-of-range', new RegExp(`index ${i} `), () => (w() as Tensor).indexPut([ints(i)], 0)],
  [`scatter ${i}`, 'index-out-of-range', new RegExp(`index ${i} `), () => w().scatter(0, tensor([[i, 0, 0]], { dtype: 'int32' }), 1)],
  [`indexAdd ${i}`, 'index-out-of-range', new RegExp(`index ${i} `), () => w().indexAdd(0, ints(i), ones([1, 3]) as Tensor)],
  [`int64 index ${i}`, 'index-out-of-range', new RegExp(`index ${i} `), () => w().take(tensor([BigInt(i)]) as Tensor, 0)],
])
const moreIndices: readonly BadCall[] = [
  ['an empty axis', 'index-out-of-range', /axis 0 of size 0/, () => zeros([0, 3]).take([0], 0)],
  ['a class too large', 'index-out-of-range', /crossEntropy.*3/, () => crossEntropy(w(), ints(0, 3))],
  ['a negative class', 'index-out-of-range', /nllLoss.*-1/, () => nllLoss(w(), ints(0, -1))],
  ['oneHot', 'index-out-of-range', /oneHot.*3/, () => ints(3).oneHot(3)],
  ['a negative count', 'index-out-of-range', /bincount: a value is negative/, () => bincount(ints(-1))],
  ['narrow', 'index-out-of-range', /narrow/, () => (w() as Tensor).narrow(1, 2, 2)],
  ['a fractional index', 'index-out-of-range', /0\.5/, () => (w() as Tensor).at(0.5)],
  ['topk of too many', 'invalid-argument', /topk: 4 elements/, () => (w() as Tensor).topk(4)],
  ['kthvalue', 'invalid-argument', /kthvalue/, () => (w() as Tensor).kthvalue(0)],
  ['too many indices', 'index-out-of-range', /at: 3 indices for 2 axes/, () => (w() as Tensor).at(0, 0, 0)],
]

const values: readonly BadCall[] = [
  ['max of nothing', 'empty-reduction', /max/, () => zeros([0]).max()],
  ['min of nothing', 'empty-reduction', /min/, () => zeros([2, 0]).min(1)],
  ['argmax of nothing', 'empty-reduction', /argmax/, () => zeros([0]).argmax()],
  ['argmin of nothing', 'empty-reduction', /argmin/, () => zeros([2, 0]).argmin(1)],
  ['infinity norm of nothing', 'empty-reduction', /norm/, () => zeros([0]).norm({ p: Infinity })],
  ['median of nothing', 'empty-reduction', /median/, () => zeros([0]).median()],
  ['quantile of nothing', 'empty-reduction', /quantile/, () => zeros([0]).quantile(0.5)],
  ['a fractional seed', 'invalid-argument', /manualSeed: 0.5 is not a seed/, () => manualSeed(0.5)],
  ['a seed that is NaN', 'invalid-argument', /NaN is not a seed/, () => manualSeed(NaN)],
  ['an infinite seed', 'invalid-argument', /Infinity is not a seed/, () => new Generator(Infinity)],
  ['an unknown engine', 'unknown-engine', /no engine 'cuda'/, () => setEngine('cuda')],
  ['an unknown engine by name', 'unknown-engine', /no engine ''/, () => engineNamed('')],
  ['ragged arrays', 'shape-mismatch', /ragged: at depth 1/, () => tensor([[1, 2], [3]])],
  ['arrays of different depth', 'shape-mismatch', /ragged/, () => tensor(untyped([[1], 2]))],
  ['arrays of text', 'invalid-argument', /found a where/, () => tensor(untyped(['a']))],
  ['null', 'invalid-argument', /null/, () => tensor(untyped(null))],
  ['undefined', 'invalid-argument', /undefined/, () => tensor(untyped(undefined))],
  ['a negative size', 'invalid-argument', /-1 is not a size/, () => zeros([2, -1])],
  ['a fractional size', 'invalid-argument', /1.5 is not a size/, () => ones([1.5])],
  ['a size that is NaN', 'invalid-argument', /NaN is not a size/, () => zeros([NaN])],
  ['a size that is NaN in uniform', 'invalid-argument', /NaN is not a size/, () => uniform([NaN])],
  ['a size that is NaN in reshape', 'invalid-argument', /NaN/, () => (x23() as Tensor).reshape([NaN, 2])],
  ['a size that is NaN in expand', 'invalid-argument', /NaN/, () => (x23() as Tensor).expand([NaN, 2, 3])],
  ['two unknown sizes', 'invalid-argument', /-1 is not a size/, () => (x23() as Tensor).reshape([-1, -1])],
  ['a shape that is a number', 'invalid-argument', /full: 3 is not a shape/, () => zeros(untyped(3))],
  ['sizes one by one', 'invalid-argument', /reshape: 3 is not a shape/, () => (x23() as Tensor).reshape(untyped(3))],
  ['a number to expand to', 'invalid-argument', /expand: 3 is not a shape/, () => (x23() as Tensor).expand(untyped(3))],
  ['eye of NaN', 'invalid-argument', /NaN/, () => eye(NaN)],
  ['linspace of half a step', 'invalid-argument', /linspace/, () => linspace(0, 1, 2.5)],
  ['arange with a step of 0', 'invalid-argument', /arange/, () => arange(0, 3, 0)],
  ['arange to NaN', 'invalid-argument', /arange/, () => arange(NaN)],
  ['arange to infinity', 'invalid-argument', /arange/, () => arange(Infinity)],
  ['a probability above 1', 'invalid-argument', /dropout/, () => dropout(x23(), 1.5)],
  ['a stride of 0', 'invalid-argument', /conv1d/, () => conv1d(ones([1, 5, 3]), untyped(ones([3, 3, 8])), { stride: 0 })],
  ['a window of 0', 'invalid-argument', /maxPool1d/, () => maxPool1d(ones([1, 4, 1]), 0)],
  ['a negative padding', 'invalid-argument', /conv1d/, () => conv1d(ones([1, 5, 3]), untyped(ones([3, 3, 8])), { padding: -1 })],
  ['a slice step of 0', 'invalid-argument', /slice/, () => (w() as Tensor).slice([0, 2, 0])],
  ['einsum text', 'invalid-argument', /einsum/, () => einsum('ij,jk', w() as Tensor)],
  ['chunks of 0', 'invalid-argument', /chunk/, () => (w() as Tensor).chunk(0)],
  ['randint of nothing', 'invalid-argument', /randint/, () => randint(3, 3, [2])],
  ['a negative deviation', 'invalid-argument', /normal/, () => normal([2], { std: -1 } as never)],
  ['a quantile above 1', 'invalid-argument', /quantile/, () => w().quantile(1.5)],
  [
    'reflect wider than the axis',
    'invalid-argument',
    /pad/,
    () =>
      pad(
        w() as Tensor,
        [
          [0, 0],
          [3, 0],
        ],
        { mode: 'reflect' },
      ),
  ],
  ['a learning rate that is NaN', 'invalid-argument', /lr/, () => new optim.SGD([x23().setRequiresGrad() as Tensor], { lr: NaN })],
  ['an optimiser of nothing', 'invalid-argument', /SGD/, () => new optim.SGD([])],
  ['a layer of no size', 'invalid-argument', /Linear|size/, () => new nn.Linear(-1, 2)],
]

const modes: readonly BadCall[] = [
  ['noGrad', 'invalid-argument', /noGrad: the function is async/, () => noGrad(async () => 1)],
  ['enableGrad', 'invalid-argument', /enableGrad: the function is async/, () => enableGrad(async () => 1)],
  ['detectAnomaly', 'invalid-argument', /detectAnomaly: the function is async/, () => detectAnomaly(async () => 1)],
  ['checkpoint', 'invalid-argument', /checkpoint: the function is async/, () => checkpoint(async () => 1)],
  ['tidy', 'invalid-argument', /tidy: the function is async/, () => tidy(async () => 1)],
  [
    'grad',
    'invalid-argument',
    /grad: the function is async/,
    () => grad(untyped(async (x: Tensor) => x) as (x: Tensor) => Tensor)(ones([]) as Tensor),
  ],
  ['compile', 'invalid-argument', /compile: the function is async/, () => compile(async (x: Tensor) => x)(ones([]) as Tensor)],
  ['a rejected one', 'invalid-argument', /noGrad: the function is async/, () => noGrad(() => Promise.reject(new Error('late')))],
]

const gradients: readonly BadCall[] = [
  ['of nothing that requires one', 'no-gradient', /not computed from anything/, () => x23().sum().backward()],
  ['of integers', 'no-gradient', /not computed from anything/, () => ints(3).sum().backward()],
  ['of a leaf', 'no-gradient', /not computed from anything/, () => backward([ones([]) as Tensor])],
  ['of several elements', 'shape-mismatch', /only a tensor of one element/, () => x23().setRequiresGrad().mul(2).backward()],
  [
    'twice',
    'released-tensor',
    /let go by an earlier backward/,
    () => {
      const y = x23().setRequiresGrad().exp().sum()
      y.backward()
      y.backward()
    },
  ],
  [
    'of a value changed since',
    'modified-in-place',
    /exp|mul|square/,
    () => {
      const x = x23().setRequiresGrad().mul(3)
      const y = x.square().sum()
      noGrad(() => x.assign(0))
      y.backward()
    },
  ],
  ['of a leaf changed while recording', 'modified-in-place', /assign: a leaf/, () => x23().setRequiresGrad().assign(0)],
  [
    'by a function of several numbers',
    'shape-mismatch',
    /grad: the function must return one number/,
    () => grad((x: Tensor) => x.mul(2))(x23() as Tensor),
  ],
  [
    'by a function without result',
    'shape-mismatch',
    /grad: the function must return one number/,
    () => valueAndGrad(untyped(() => {}) as (x: Tensor) => Tensor)(x23() as Tensor),
  ],
  ['by integers', 'no-gradient', /int32/, () => grad((x: Tensor) => x.sum())(ints(1, 2) as Tensor)],
  ['NaN found', 'non-finite', /log: the result has NaN; called from .*errors\.test\.ts/, () => detectAnomaly(() => tensor(-1).log())],
  [
    'NaN found in a gradient',
    'non-finite',
    /sqrt: its gradient has NaN; the op was called from .*errors\.test\.ts/,
    () => detectAnomaly(() => zeros([]).setRequiresGrad().sqrt().mul(0).backward()),
  ],
  ['hook', 'no-gradient', /hook/, () => x23().registerHook(() => undefined)],
  ['no more for what was computed', 'no-gradient', /leaf/, () => x23().setRequiresGrad().mul(2).setRequiresGrad(false)],
  ['of a sort', 'no-gradient', /not computed/, () => x23().setRequiresGrad().argmax().backward()],
]

const groups = { shapes, dtypeErrors, indices, moreIndices, values, modes, gradients }

describe.each(engineNames())('on %s', (engine) => {
  beforeEach(() => {
    setEngine(engine)
  })
  afterEach(() => {
    setEngine(engineNames()[0]!)
  })

  for (const [group, calls] of Object.entries(groups)) {
    describe(`${group}`, () => {
      test.each(calls)('%s: %s', (_what, code, message, call) => {
        expectError(call, code, message)
      })
    })
  }

  test('threads', async () => {
    if (engine !== 'wasm') return
    for (const count of [0, -1, 1.5, NaN, 1000]) await expect(setThreads(count)).rejects.toMatchObject({ code: 'invalid-argument' })
  })

  test('the engine works after every error', () => {
    for (const calls of Object.values(groups)) for (const [, code, message, call] of calls) expectError(call, code, message)
    const x = full([3], 2).setRequiresGrad()
    x.square().sum().backward()
    expect(x.grad!.toArray()).toEqual([4, 4, 4])
    expect(noGrad(() => x.mul(2).requiresGrad)).toBe(false)
  })
})

test('tensors of two engines', () => {
  const a = (setEngine('reference'), ones([2]))
  const b = (setEngine('wasm'), ones([2]))
  expectError(() => a.add(b), 'invalid-argument', /add: the inputs live on different engines, reference and wasm/)
  expectError(() => concat([a, b]), 'invalid-argument', /different engines/)
})
