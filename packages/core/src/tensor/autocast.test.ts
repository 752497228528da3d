import { readFileSync } from 'node:fs'
import {
  autocast,
  checkpoint,
  compile,
  cond,
  crossEntropy,
  type DType,
  engineNames,
  explain,
  gelu,
  grad,
  jvp,
  manualSeed,
  nn,
  noGrad,
  optim,
  profile,
  scan,
  setEngine,
  Tensor,
  tensor,
  uniform,
  vmap,
} from 'cotangent'
import { beforeEach, describe, expect, test } from 'vitest'
import { Kept } from '../autograd/tape.ts'
import { dtypeInfo } from '../dtype.ts'
import { table } from '../op/table.ts'
import { type Saver, withModes } from './modes.ts'

beforeEach(() => {
  setEngine('wasm')
  manualSeed(7)
})

const castsIn = (body: () => void): number =>
  profile(body)
    .rows.filter((row) => row.name === 'cast')
    .reduce((n, row) => n + row.calls, 0)

const gap = (a: Tensor, b: Tensor): number => a.sub(b).abs().max().item() / Math.max(1e-30, b.abs().max().item())

describe('modes', () => {
  const x = () => uniform([2, 3])
  const w = () => uniform([3, 2])

  test('holds inside, nests, and can be switched off', () => {
    const dtypes: DType[] = []
    const see = () => dtypes.push(x().matmul(w()).dtype)
    autocast(() => {
      see()
      autocast(see, { dtype: 'float16' })
      autocast(
        () => {
          see()
          autocast(see)
        },
        { enabled: false },
      )
      see()
    })
    see()
    expect(dtypes).toEqual(['bfloat16', 'float16', 'float32', 'bfloat16', 'bfloat16', 'float32'])
  })

  test('methods and functions of every op that has a policy see it', () => {
    const named = [...table.values()].filter((op) => op.precision)
    expect(named.length).toBeGreaterThan(40)
    const y = autocast(() => x().cast('bfloat16').exp())
    expect(y.dtype).toBe('float32')
    expect(autocast(() => table.get('exp')!.call(x().cast('float16') as never) as Tensor).dtype).toBe('float32')
  })

  test('the manual lists every op under its rule', () => {
    const manual = readFileSync(new URL('../../../../docs/mixed-precision.md', import.meta.url), 'utf8')
    const rows = new Map(
      ['lower', 'float32', 'widest'].map((rule) => [rule, manual.split('\n').find((line) => line.startsWith(`| \`${rule}`))!]),
    )
    const isLoss = (name: string) => /Loss$|^crossEntropy$/.test(name)
    for (const [rule, row] of rows) {
      const listed = row
        .split('|')[3]!
        .match(/(?<=`)\w+(?=`)/g)!
        .filter((name) => name.length > 1)
      const declared = [...table.values()].filter((op) => op.precision === rule && !isLoss(op.name)).map((op) => op.name)
      expect(listed.toSorted()).toEqual(declared.toSorted())
    }
    const losses = [...table.values()].filter((op) => isLoss(op.name))
    expect(losses.filter((op) => op.precision !== 'float32').map((op) => op.name)).toEqual([])
  })

  test('leaves float64, integers and bools alone', () => {
    autocast(() => {
      expect(x().cast('float64').matmul(w().cast('float64')).dtype).toBe('float64')
      expect(x().cast('int32').matmul(w().cast('int32')).dtype).toBe('int32')
      expect(tensor([true, false]).sum().dtype).toBe('int32')
    })
  })

  test('refuses other dtypes and async functions', () => {
    expect(() => autocast(x, { dtype: 'float32' as never })).toThrow(/float32 is no dtype of low precision.*bfloat16, float16/s)
    expect(() => autocast(async () => x())).toThrow(/async/)
  })

  test('ends when the function throws', () => {
    expect(() =>
      autocast(() => {
        throw new Error('no')
      }),
    ).toThrow('no')
    expect(x().matmul(w()).dtype).toBe('float32')
  })
})

describe('weights', () => {
  const run = (layer: nn.Linear, x: Tensor) => layer.forward(layer.forward(x))

  test('are cast once within the outermost autocast', () => {
    const layer = new nn.Linear(3, 3)
    const x = uniform([2, 3]).cast('bfloat16')
    expect(castsIn(() => void autocast(() => run(layer, x)))).toBe(2)
    expect(castsIn(() => void autocast(() => run(layer, x), { cacheWeights: false }))).toBe(4)
    expect(castsIn(() => void autocast(() => autocast(() => run(layer, x)).add(autocast(() => run(layer, x)))))).toBe(2)
    // What was cast without gradients is no good for a pass with them.
    expect(autocast(() => [noGrad(() => run(layer, x)), run(layer, x)]).map((y) => y.requiresGrad)).toEqual([false, true])
  })

  test('are cast again after they changed, and after a backward pass', () => {
    const layer = new nn.Linear(3, 3, { bias: false })
    const optimizer = new optim.SGD(layer, { lr: 0.5 })
    const x = uniform([2, 3])
    autocast(() => {
      const before = layer.forward(x)
      before.sum().backward()
      // The tape of the first cast is gone.
      layer.forward(x).sum().backward()
      optimizer.step()
      expect(gap(layer.forward(x).cast('float32'), before.cast('float32'))).toBeGreaterThan(0.1)
    })
  })
})

describe('gradients', () => {
  function model() {
    manualSeed(3)
    return new nn.Sequential(new nn.Linear(8, 16), new nn.GELU(), new nn.LayerNorm(16), new nn.Linear(16, 4))
  }
  const labels = () => tensor([0, 3, 1, 2, 2], { dtype: 'int32' })

  test.each(engineNames())('of parameters are float32, near those of float32 (%s)', (engine) => {
    setEngine(engine)
    const [half, full] = [model(), model()]
    const x = uniform([5, 8])
    const loss = autocast(() => crossEntropy(half.forward(x), labels()))
    loss.backward()
    crossEntropy(full.forward(x), labels()).backward()
    expect(loss.dtype).toBe('float32')
    const wanted = [...full.parameters()]
    for (const [i, p] of [...half.parameters()].entries()) {
      expect([p.dtype, p.grad!.dtype]).toEqual(['float32', 'float32'])
      expect(gap(p.grad!, wanted[i]!.grad!)).toBeLessThan(0.03)
    }
  })

  test('are the same wherever backward is called, and through checkpoint', () => {
    const x = uniform([5, 8])
    const gradients = (body: (m: ReturnType<typeof model>) => void) => {
      const m = model()
      body(m)
      return [...m.parameters()].map((p) => p.grad!.toArray())
    }
    const outside = gradients((m) => autocast(() => crossEntropy(m.forward(x), labels())).backward())
    expect(gradients((m) => autocast(() => crossEntropy(m.forward(x), labels()).backward()))).toEqual(outside)
    expect(
      gradients((m) =>
        autocast(() =>
          crossEntropy(
            checkpoint(() => m.forward(x)),
            labels(),
          ),
        ).backward(),
      ),
    ).toEqual(outside)
  })

  test('work through grad, jvp and vmap', () => {
    const w = uniform([3, 3])
    const f = (x: Tensor): Tensor => autocast(() => x.matmul(w).exp().sum())
    const x = uniform([3])
    const g = grad(f)(x)
    expect(g.dtype).toBe('float32')
    const [, tangent] = jvp(f, [x], [x])
    expect(tangent.item()).toBeCloseTo(g.mul(x).sum().item(), 1)
    const rows = uniform([4, 3])
    expect(gap(vmap(f)(rows), tensor([0, 1, 2, 3].map((i) => f(rows.select(0, i)).item())))).toBeLessThan(1e-5)
  })
})

describe('compile', () => {
  test('a training step is what eager mode does', () => {
    const train = (wrap: <F extends () => Tensor>(f: F) => () => Tensor) => {
      manualSeed(5)
      const model = new nn.Sequential(new nn.Conv2d(1, 4, 3), new nn.BatchNorm2d(4), new nn.ReLU(), new nn.Flatten(), new nn.Linear(144, 3))
      const optimizer = new optim.AdamW(model, { lr: 1e-2 })
      const [x, y] = [uniform([4, 8, 8, 1]), tensor([0, 1, 2, 1], { dtype: 'int32' })]
      const step = wrap(() => {
        const loss = autocast(() => crossEntropy(model.forward(x), y))
        optimizer.zeroGrad()
        loss.backward()
        optimizer.step()
        return loss
      })
      return [1, 2, 3, 4].map(() => step().item())
    }
    const eager = train((f) => f)
    const compiled = train((f) => compile(f))
    compiled.forEach((loss, i) => expect(loss).toBeCloseTo(eager[i]!, 2))
    expect(eager[3]).toBeLessThan(eager[0]!)
  })

  test('the mode around a call is part of its key', () => {
    const f = compile((a: Tensor, b: Tensor) => a.matmul(b))
    const [a, b] = [uniform([2, 3]), uniform([3, 2])]
    expect(f(a, b).dtype).toBe('float32')
    expect(autocast(() => f(a, b)).dtype).toBe('bfloat16')
    expect(autocast(() => f(a, b), { dtype: 'float16' }).dtype).toBe('float16')
    expect(f(a, b).dtype).toBe('float32')
    expect(f.specializations.length).toBe(3)
  })

  test('casts become part of what is around them', () => {
    const [w1, w2] = [uniform([8, 8]), uniform([8, 8])]
    const f = (x: Tensor): Tensor => autocast(() => gelu(x.add(1).matmul(w1)).matmul(w2).softmax())
    const kinds = explain(f, uniform([4, 8])).operations.map(({ name }) => name)
    // Two casts of weights; that of the input goes with the addition, the last with the softmax.
    expect(kinds.length).toBe(6)
  })

  test('branches and loops run in the mode, and so do their gradients', () => {
    const w = uniform([3, 3]).setRequiresGrad()
    const f = (x: Tensor): Tensor =>
      autocast(() => {
        const [carry] = scan((c: Tensor) => [c.matmul(w).tanh().cast('float32'), null], x, null, { length: 3 })
        return cond(
          carry.sum().gt(0),
          (c) => c.matmul(w).cast('float32'),
          (c) => c.matmul(w).neg().cast('float32'),
          carry,
        )
          .square()
          .sum()
      })
    const x = uniform([2, 3])
    const gradient = () => grad(f)(x)
    const g = compile(gradient)()
    expect(gap(g, gradient())).toBeLessThan(0.02)
  })
})

describe('memory of a transformer layer', () => {
  const parts = () => {
    manualSeed(1)
    const layer = new nn.TransformerEncoderLayer(64, 4, { feedForward: 256, activation: 'gelu', normFirst: true, dropout: 0 })
    return { layer, x: uniform([8, 100, 64]) as Tensor, optimizer: new optim.AdamW(layer, { lr: 1e-3 }) }
  }
  const wrap = (low: boolean, body: () => Tensor) => (low ? autocast(body) : body())

  /** Bytes that the forward pass keeps for the backward pass, as far as they are not made of weights alone. */
  function saved(low: boolean): number {
    const { layer, x } = parts()
    const parameters = [...layer.parameters()] as unknown as Tensor[]
    const known = new Set([x, ...parameters].map((p) => p.storage))
    const weights = new Set(parameters.filter((p) => p.rank === 2).map((p) => String(p.shape)))
    let bytes = 0
    const saver: Saver = {
      save(value) {
        if (value instanceof Tensor && !known.has(value.storage) && !weights.has(String(value.shape))) {
          known.add(value.storage)
          bytes += value.storage.elements * dtypeInfo[value.dtype].size
        }
        return new Kept(value)
      },
    }
    withModes({ saver }, () => wrap(low, () => layer.forward(x).square().mean() as Tensor))
    return bytes
  }

  test('what is kept for the backward pass is at most 60% of that of float32', () => {
    expect(saved(true) / saved(false)).toBeLessThan(0.6)
  })

  test('weights are cast again rather than kept', () => {
    const layer = new nn.Linear(3, 3, { bias: false })
    const loss = () => autocast(() => layer.forward(layer.forward(uniform([2, 3]))).sum())
    const casts = castsIn(() => loss().backward())
    // Of the weight, the input, and what is summed; of the gradients of the sum and the weight; of the weight again for each product.
    expect(casts).toBe(7)
    const late = loss()
    noGrad(() => layer.weight.assign(0))
    expect(() => late.backward()).toThrow(/changed in place/)
  })

  test('a compiled step works in less memory', () => {
    const arena = (low: boolean) => {
      const { layer, x, optimizer } = parts()
      const step = (input: Tensor) => {
        const loss = wrap(low, () => layer.forward(input).square().mean() as Tensor)
        optimizer.zeroGrad()
        loss.backward()
        optimizer.step()
        return loss
      }
      return explain(step, x).total.arenaBytes
    }
    expect(arena(true) / arena(false)).toBeLessThan(0.7)
  })
})
