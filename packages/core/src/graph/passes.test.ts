import { describe, expect, test } from 'vitest'
import { KernelBuilder } from '../engine/kernel.ts'
import { engineNamed, setEngine } from '../engines.ts'
import { compile, dropout, gelu, nn, noGrad, normal, ones, type Tensor, tensor, where, conv2d } from '../index.ts'
import type { Shape } from '../layout.ts'
import { ProgramExecutable } from './executor.ts'
import { lower } from './lower.ts'
import { planMemory } from './memory.ts'
import { optimize, type Pass, passes } from './passes.ts'
import { foldConstants } from './passes/constants.ts'
import { removeDeadCode } from './passes/dead-code.ts'
import { rewriteKernel, rewriteRules } from './passes/rewrite.ts'
import { scaleWeights } from './passes/weights.ts'
import type { Program } from './program.ts'
import { argument, type Function, lowered, names } from './test/lowered.ts'
import { trace } from './trace.ts'
import { verify } from './verify.ts'

const engine = () => engineNamed('wasm')
const context = { engine: engine(), frozen: false }
const passNamed = (name: string): Pass => passes.find((pass) => pass.name === name)!
const run = (name: string, program: Program) => {
  const made = passNamed(name).run(program, context)
  verify(made, name)
  return made
}

const optimized = (f: Function, ...shapes: Shape[]): string[] => names(optimize(lowered(f, ...shapes), context))

const outputs = (program: Program, args: readonly Tensor[], on = 'wasm'): number[][] =>
  new ProgramExecutable(engineNamed(on), program).run(args).map((x) => Array.from(x.dataSync(), Number))

describe('dead code', () => {
  test('goes, with what only it needed', () => {
    const before = lowered(
      (x) => {
        x.exp().sum()
        return x.neg()
      },
      [3],
    )
    expect(names(before)).toEqual(['exp', 'sum', 'neg'])
    expect(names(removeDeadCode(before))).toEqual(['neg'])
  })

  test('what changes a parameter stays', () => {
    const counter = tensor([0])
    expect(names(removeDeadCode(lowered(() => void counter.assign(counter.add(1)))))).toEqual(['add', 'cast'])
  })
})

describe('common operations', () => {
  test('are done once, also one after the other', () => {
    const before = lowered((x) => [x.exp().neg(), x.exp().neg().sqrt()], [3])
    expect(names(run('common operations', before))).toEqual(['exp', 'neg', 'neg', 'sqrt'])
    expect(
      names(
        run(
          'dead code',
          run(
            'common operations',
            lowered((x) => x.exp().neg().add(x.exp().neg().sqrt()), [3]),
          ),
        ),
      ),
    ).toEqual(['exp', 'neg', 'sqrt', 'add'])
  })

  test('random numbers are not common', () => {
    const program = run(
      'common operations',
      lowered((x) => dropout(x).add(dropout(x)), [4]),
    )
    expect(names(program).filter((n) => n === 'dropout')).toHaveLength(2)
  })

  test('nor is what was read before and after a write', () => {
    const state = tensor([1, 2])
    const f = () => {
      const before = state.mul(2)
      state.assign(5)
      return before.add(state.mul(2))
    }
    const program = run('common operations', lowered(f as Function))
    expect(names(program).filter((n) => n === 'mul')).toHaveLength(2)
    expect(outputs(program, [])).toEqual([[12, 14]])
    expect(state.toArray()).toEqual([5, 5])
  })
})

describe('copies', () => {
  test.each(['reference', 'wasm'])('rows of a table are replaced in place on %s', (name) => {
    setEngine(name)
    const table = tensor([0, 0, 0, 0, 0, 0], { shape: [3, 2] })
    const put = (x: Tensor, row: Tensor) => noGrad(() => void table.assign(table.scatter(0, row.expand([1, 2]), x)))
    const program = optimize(lower(trace(put, [argument([1, 2]), argument([1, 1], 'int32')]).graph), {
      ...context,
      engine: engineNamed(name),
    })
    expect(names(program)).toEqual(['wrapIndex', 'scatter'])
    const { inPlace, copies, arenaBytes } = planMemory(program)
    expect([inPlace.size, copies.size, arenaBytes]).toEqual([1, 0, 64])
    const compiled = compile(put)
    for (const row of [2, 0, 2]) compiled(tensor([[row + 1, row + 2]]), tensor([[row]], { dtype: 'int32' }))
    expect([...table.dataSync()]).toEqual([1, 2, 0, 0, 3, 4])
    setEngine('wasm')
  })

  test.each([
    ['reference', [3, 5]],
    ['wasm', [3, 5]],
    ['wasm', [67, 3]],
    ['wasm', [5, 300]],
  ])('what is one number a row is replaced where it is, though the rows go elsewhere: %s %j', (name, shape) => {
    setEngine(name)
    const [rows] = shape as [number, number]
    const setup = () => {
      const level = tensor(Array.from({ length: rows }, (_, i) => i + 1)) as Tensor
      const lowerBy = (x: Tensor) => {
        const sum = x.sum(1)
        const y = x.mul(sum.reshape([-1, 1])).add(level.reshape([-1, 1]))
        noGrad(() => void level.assign(level.sub(sum)))
        return y
      }
      return { level, lowerBy }
    }
    const plan = planMemory(optimize(lower(trace(setup().lowerBy, [argument(shape)]).graph), { ...context, engine: engineNamed(name) }))
    expect([plan.inPlace.size, plan.copies.size]).toEqual([1, 0])
    const x = normal(shape) as Tensor
    const [found, expected] = [true, false].map((compiled) => {
      const { level, lowerBy } = setup()
      const f = compiled ? compile(lowerBy) : lowerBy
      return [f(x), f(x), f(x), level].flatMap((y) => [...(y.dataSync() as Float32Array)])
    })
    expect(found).toHaveLength(expected!.length)
    found!.forEach((value, i) => expect(value).toBeCloseTo(expected![i]!, 3))
    setEngine('wasm')
  })

  test('stay where the original is needed, changed in part, or read after', () => {
    const [a, b] = [normal([3]) as Tensor, normal([4]) as Tensor]
    const needed = lowered((x) => noGrad(() => a.assign(x.sort().values)), [3])
    const handedOut = (x: Tensor) => {
      const sorted = x.sort().values
      noGrad(() => a.assign(sorted))
      return sorted
    }
    expect(names(needed)).toEqual(['sort', 'cast'])
    expect(names(run('copies', needed))).toEqual(['sort'])
    expect(names(run('copies', lowered(handedOut, [3])))).toEqual(['sort', 'cast'])
    const inPart = (x: Tensor) => {
      const sorted = x.sort().values
      noGrad(() => {
        b.assign(sorted)
        sorted.narrow(0, 0, 1).assign(7)
      })
      return sorted.sum()
    }
    expect(names(run('copies', lowered(inPart, [4])))).toContain('cast')
    const x = tensor([4, 2, 3, 1])
    expect(compile(inPart)(x).item()).toBe(16)
    expect([...b.dataSync()]).toEqual([1, 2, 3, 4])
  })

  test('stay where what they overwrite is read before', () => {
    const [last, change] = [tensor([1, 2, 3]), tensor([0, 0, 0])]
    const update = (x: Tensor) =>
      noGrad(() => {
        const next = x.sort().values
        change.assign(next.sub(last))
        last.assign(next)
      })
    expect(names(run('copies', lowered(update, [3])))).toEqual(['sort', 'sub', 'cast'])
    compile(update)(tensor([6, 5, 4]))
    expect([[...last.dataSync()], [...change.dataSync()]]).toEqual([
      [4, 5, 6],
      [3, 3, 3],
    ])
  })

  test('old rows that are read later are kept until then', () => {
    const table = tensor([1, 2, 3])
    const swap = compile((x: Tensor, at: Tensor) => {
      const old = table.mul(10)
      noGrad(() => table.assign(table.scatter(0, at, x)))
      return old.add(table)
    })
    expect([...swap(tensor([5]), tensor([1], { dtype: 'int32' })).dataSync()]).toEqual([11, 25, 33])
    expect([...swap(tensor([6]), tensor([0], { dtype: 'int32' })).dataSync()]).toEqual([16, 55, 33])
  })
})

describe('scalar rewriting', () => {
  const build = (code: (k: KernelBuilder, x: ReturnType<KernelBuilder['load']>) => ReturnType<KernelBuilder['load']>) => {
    const k = new KernelBuilder('test', [4])
    k.output('float32', code(k, k.load(k.input('float32'), [1])))
    return rewriteKernel(k.build()).nodes.map(({ op }) => op)
  }
  test.each([
    ['x * 1', (k: KernelBuilder, x) => k.mul(x, k.like(x, 1)), ['load']],
    ['1 * x', (k: KernelBuilder, x) => k.mul(k.like(x, 1), x), ['load']],
    ['x / 1', (k: KernelBuilder, x) => k.div(x, k.like(x, 1)), ['load']],
    ['x - 0', (k: KernelBuilder, x) => k.sub(x, k.like(x, 0)), ['load']],
    ['x + 0 stays: -0 + 0 is 0', (k: KernelBuilder, x) => k.add(x, k.like(x, 0)), ['load', 'const', 'add']],
    ['x + -0', (k: KernelBuilder, x) => k.add(x, k.like(x, -0)), ['load']],
    ['x * 0 stays: NaN * 0 is NaN', (k: KernelBuilder, x) => k.mul(x, k.like(x, 0)), ['load', 'const', 'mul']],
    ['x * -1', (k: KernelBuilder, x) => k.mul(x, k.like(x, -1)), ['load', 'neg']],
    ['-(-x)', (k: KernelBuilder, x) => k.neg(k.neg(x)), ['load']],
    ['x + (-x)', (k: KernelBuilder, x) => k.add(x, k.neg(x)), ['load', 'sub']],
    ['max(x, x)', (k: KernelBuilder, x) => k.max(x, x), ['load']],
    ['select of equals', (k: KernelBuilder, x) => k.select(k.gt(x, k.like(x, 0)), x, x), ['load']],
    ['select that is made', (k: KernelBuilder, x) => k.select(k.constant('bool', 1), x, k.neg(x)), ['load']],
    ['2 * 3 + x', (k: KernelBuilder, x) => k.add(k.mul(k.like(x, 2), k.like(x, 3)), x), ['load', 'const', 'add']],
    ['there and back', (k: KernelBuilder, x) => k.cast(k.cast(x, 'float64'), 'float32'), ['load']],
    ['there and back through what is narrower', (k: KernelBuilder, x) => k.cast(k.cast(x, 'int32'), 'float32'), ['load', 'cast', 'cast']],
    ['rounded twice', (k: KernelBuilder, x) => k.narrow(k.narrow(x, 'float16'), 'float16'), ['load', 'narrow']],
    ['not not', (k: KernelBuilder, x) => k.cast(k.not(k.not(k.gt(x, k.like(x, 0)))), 'float32'), ['load', 'const', 'gt', 'cast']],
  ] as [string, (k: KernelBuilder, x: ReturnType<KernelBuilder['load']>) => ReturnType<KernelBuilder['load']>, string[]][])(
    '%s',
    (_name, code, expected) => expect(build(code).toSorted()).toEqual(expected.toSorted()),
  )

  test('comparisons of bounded numbers are those of the numbers where the bound makes no difference', () => {
    const x = tensor([Number.NaN, Number.NEGATIVE_INFINITY, -1, -0, 0, 1, 2, 3, Number.POSITIVE_INFINITY]) as Tensor
    let rewritten = 0
    for (const bound of ['max', 'min'] as const) {
      for (const compare of ['gt', 'ge', 'lt', 'le'] as const) {
        for (const [at, than] of [
          [0, 0],
          [0, 1],
          [1, 0],
          [-0, 0],
        ] as const) {
          const f = (v: Tensor) => v[bound === 'max' ? 'maximum' : 'minimum'](at)[compare](than)
          const program = optimize(lowered(f as unknown as Function, [9]), context)
          rewritten += Number(
            !program.operations.some(({ program: code }) => code.kind === 'kernel' && code.nodes.some((n) => n.op === bound)),
          )
          expect(outputs(program, [x])).toEqual([Array.from(f(x).dataSync(), Number)])
        }
      }
    }
    expect(rewritten).toBe(16)
  })

  test('rules have names of their own', () => {
    expect(new Set(rewriteRules.map(({ name }) => name)).size).toBe(rewriteRules.length)
  })
})

describe('fusion of chains', () => {
  test('elementwise code becomes one kernel, through views', () => {
    const f = (x: Tensor) => x.exp().reshape([2, 6]).transpose(0, 1).mul(2).slice([1, 5]).neg()
    const program = run('fuse chains', lowered(f as Function, [3, 4]))
    expect(names(program)).toEqual(['exp+mul+neg'])
    const x = normal([3, 4]) as Tensor
    expect(outputs(program, [x])).toEqual([Array.from(noGrad(() => f(x)).dataSync(), Number)])
  })

  test('a reduction takes in what it reads, and its readers', () => {
    expect(optimized((x) => x.exp().sum(1), [4, 8])).toEqual(['exp+sum'])
    expect(optimized((x) => x.sub(x.mean(1, { keepDims: true })), [4, 8])).toEqual(['mean+sub'])
    expect(optimized((x) => x.softmax(1).mul(2), [4, 8])).toEqual(['softmax+mul'])
    expect(optimized((x) => x.sum(1).sqrt().add(1), [4, 8])).toEqual(['sum+sqrt+add'])
  })

  test('reductions over the same rows join, over others do not', () => {
    expect(optimized((x) => x.softmax(1).mul(x).sum(1), [4, 8])).toEqual(['softmax+mul+sum'])
    expect(optimized((x) => x.sum(1).sum(0), [4, 8])).toEqual(['sum', 'sum'])
  })

  test('cheap values are computed again, others are not', () => {
    expect(optimized((x) => [x.add(1).exp(), x.add(1).sum()], [64, 64])).toEqual(['add+sum', 'add+exp'])
    expect(optimized((x) => where(x.gt(0), x, x.neg()).sum(), [8, 8])).toEqual(['neg+gt+where+sum'])
  })

  test('what is overwritten in between is read in time', () => {
    const state = tensor([1, 2, 3])
    const f = () => {
      const before = state.mul(10)
      state.slice([0, 2]).assign(0)
      return before.add(state)
    }
    const program = optimize(lowered(f as Function), context)
    expect(outputs(program, [])).toEqual([[10, 20, 33]])
  })
})

test('memory that is overwritten whole, then in part, is read in time', () => {
  const state = tensor([1, 2, 3])
  const f = () => {
    state.assign(state.mul(2))
    const between = state.exp()
    state.slice([0, 1]).assign(0)
    return between.log().round().add(state)
  }
  const program = optimize(lowered(f as Function), context)
  expect(outputs(program, [])).toEqual([[2, 8, 12]])
  expect(state.toArray()).toEqual([0, 4, 6])
})

describe('fusion of neighbours', () => {
  test('one kernel writes what several need', () => {
    const f = (x: Tensor) => {
      const y = x.sin().mul(x.cos())
      return [y, y.sum(1)]
    }
    expect(optimized(f as Function, [64, 128])).toEqual(['cos+sin+mul+sum'])
  })

  test('but not where a reader has to wait for another', () => {
    const f = (x: Tensor) => {
      const y = x.sin().mul(x.cos())
      return y.add(y.matmul(y))
    }
    expect(optimized(f as Function, [64, 64])).toEqual(['cos+sin+mul', 'matmul[add]'])
  })

  test('it says what it left apart, and why', () => {
    const { notes } = optimize(
      lowered((x) => x.sum(1).sum(0), [4, 8]),
      context,
    )
    expect(notes).toEqual([{ origin: expect.objectContaining({ name: 'sum' }), reason: 'sum: the two have no index space in common' }])
  })
})

describe('epilogues', () => {
  const weight = ones([8, 8]) as Tensor
  const bias = ones([8]) as Tensor
  test('bias, activation and residual run on the product in registers', () => {
    expect(optimized((x) => gelu(x.matmul(weight).add(bias)).add(x), [4, 8])).toEqual(['matmul[add+gelu]'])
    expect(optimized((x) => x.linear(weight, bias).relu(), [2, 3, 8])).toEqual(['matmul[relu]'])
  })

  test('a product whose result others need writes it, too', () => {
    const f = (x: Tensor) => {
      const y = x.matmul(weight)
      return [y, y.relu()]
    }
    const program = optimize(lowered(f as Function, [4, 8]), context)
    expect(names(program)).toEqual(['matmul[relu]'])
    const x = normal([4, 8]) as Tensor
    expect(outputs(program, [x])).toEqual(outputs(lowered(f as Function, [4, 8]), [x]))
  })

  test('what reduces, or reads in another order, stays apart', () => {
    expect(optimized((x) => x.matmul(weight).softmax(-1), [4, 8])).toEqual(['matmul', 'softmax'])
    expect(optimized((x) => x.matmul(weight).add(x.transpose(0, 1)), [8, 8])).toEqual(['matmul', 'add'])
  })
})

describe('constants', () => {
  test('what follows from nothing is computed once, unless it only fills memory', () => {
    const f = (x: Tensor) => x.matmul(normalised()).add(1)
    const normalised = () => ones([4, 4]).tril().softmax(-1) as Tensor
    const program = foldConstants(lowered(f as Function, [2, 4]), engine(), { frozen: false })
    expect(names(program)).toEqual(['matmul', 'add'])
    const x = normal([2, 4]) as Tensor
    expect(outputs(program, [x])).toEqual([Array.from(f(x).dataSync(), Number)])
  })

  test('parameters are constants only when frozen', () => {
    const weight = normal([4, 4]) as Tensor
    const f = (x: Tensor) => x.matmul(weight.mul(weight))
    expect(names(foldConstants(lowered(f as Function, [2, 4]), engine(), { frozen: false }))).toEqual(['mul', 'matmul'])
    expect(names(foldConstants(lowered(f as Function, [2, 4]), engine(), { frozen: true }))).toEqual(['matmul'])
  })
})

describe('weights', () => {
  test('what scales and shifts channels becomes part of them', () => {
    const [weight, bias, factor, summand] = [normal([3, 3, 2, 4]), normal([4]), normal([4]), normal([4])] as Tensor[]
    const f = (x: Tensor) => (conv2d(x, weight! as never, { bias: bias! as never }) as Tensor).sub(0.5).mul(factor!).div(2).add(summand!)
    const chained = run('fuse chains', lowered(f as Function, [1, 5, 5, 2]))
    const scaled = scaleWeights(chained)
    verify(scaled, 'weights')
    expect(names(foldConstants(scaled, engine(), { frozen: true }))).toEqual(['conv'])
    const x = normal([1, 5, 5, 2]) as Tensor
    const [got, expected] = [outputs(scaled, [x])[0]!, f(x).dataSync()]
    got.forEach((value, i) => expect(value).toBeCloseTo(Number(expected[i]), 4))
  })

  test('batch normalisation in use vanishes when frozen', () => {
    const net = new nn.Sequential(new nn.Conv2d(2, 4, 3), new nn.BatchNorm2d(4), new nn.ReLU())
    net.forward(normal([2, 6, 6, 2]) as never)
    net.eval()
    const x = normal([2, 6, 6, 2])
    const frozen = compile((input: Tensor) => net.forward(input as never) as Tensor, { freeze: true })
    noGrad(() => {
      const difference = frozen(x)
        .sub(net.forward(x as never))
        .abs()
        .max()
        .item()
      expect(difference).toBeLessThan(1e-5)
      expect(names(frozen.specializations[0]!.executable.program)).toEqual(['conv[batchNormWith+relu]'])
    })
    expect(frozen.specializations[0]!.executable.program.operations[0]!.program.inputs).toHaveLength(3)
  })

  test('what is not affine, or differs within a channel, stays behind', () => {
    const weight = normal([4, 4]) as Tensor
    for (const f of [(x: Tensor) => x.matmul(weight).relu(), (x: Tensor) => x.matmul(weight).mul(x)]) {
      expect(names(scaleWeights(lowered(f as Function, [4, 4])))).toHaveLength(2)
    }
  })
})

test('memory: what is made elsewhere for a parameter is working memory until it is copied', () => {
  const state = tensor([1, 2, 3, 4]).reshape([2, 2]).clone() as Tensor
  const f = (x: Tensor) => {
    state.assign(state.transpose(0, 1).add(x))
    return x.exp().sum()
  }
  const program = optimize(lowered(f as Function, [2, 2]), context)
  const { results, copies, arena } = planMemory(program)
  expect([results.length, copies.size, arena.size]).toEqual([1, 1, 1])
  outputs(program, [ones([2, 2]) as Tensor])
  expect(state.toArray()).toEqual([
    [2, 4],
    [3, 5],
  ])
})

test('schedule: what frees memory goes as early as it can', () => {
  const f = (x: Tensor) => {
    const [a, b] = [x.matmul(x), x.matmul(x.transpose(0, 1))]
    return [b.sum(), a.sum()]
  }
  const before = lowered(f as Function, [16, 16])
  expect(names(before)).toEqual(['matmul', 'matmul', 'sum', 'sum'])
  const after = run('schedule', before)
  expect(names(after)).toEqual(['matmul', 'sum', 'matmul', 'sum'])
  expect(planMemory(after).arenaBytes).toBe(planMemory(before).arenaBytes / 2)
})

test('the verifier finds what a pass has broken', () => {
  const program = lowered((x) => x.exp().neg(), [4])
  const [first, second] = program.operations
  expect(() => verify({ ...program, operations: [second!, first!] }, 'test')).toThrow('after test, neg: value 1 is read before it is made')
  expect(() => verify({ ...program, operations: [first!, { ...second!, inputs: [] }] }, 'test')).toThrow('0 inputs for a program of 1')
  expect(() => verify({ ...program, operations: [first!] }, 'test')).toThrow('result 2 is never made')
})
