import {
  compile,
  CotangentError,
  currentEngine,
  dropout,
  engineNames,
  erf,
  keep,
  noGrad,
  nn,
  registerEngine,
  setEngine,
  type Tensor,
  tensor,
  tidy,
  uniform,
  where,
  zeros,
} from 'cotangent'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ReferenceEngine } from '../src/engine/reference/engine.ts'
import { reclaimerOf } from '../src/tensor/storage.ts'

const engines = engineNames()
const vector = (...values: number[]) => tensor(values) as Tensor
const code = (expected: string, ...texts: string[]) =>
  expect.objectContaining({ code: expected, message: expect.stringMatching(new RegExp(texts.join('[\\s\\S]*'))) })

afterEach(() => {
  setEngine(engines[0]!)
  vi.restoreAllMocks()
})

describe.each(engines)('compile on %s', (engine) => {
  beforeEach(() => void setEngine(engine))

  test('trees of arguments and results; what is no tensor is constant', () => {
    const f = compile(({ xs, scale }: { xs: readonly Tensor[]; scale: number }, name: string, ...rest: (Tensor | null)[]) => ({
      [name]: xs.map((x) => x.mul(scale)),
      count: rest.length,
      none: null,
      nested: [{ total: rest[0]!.add(xs[0]!) }, 'text'],
    }))
    const shown = (scale: number) => {
      const { count, none, nested, ...others } = f({ xs: [vector(1, 2), vector(3)], scale }, 'scaled', vector(5, 6), null)
      return [count, none, (others.scaled as Tensor[]).map((x) => x.toArray()), (nested[0] as { total: Tensor }).total.toArray(), nested[1]]
    }
    expect(shown(2)).toEqual([2, null, [[2, 4], [6]], [6, 8], 'text'])
    expect(shown(3)).toEqual([2, null, [[3, 6], [9]], [6, 8], 'text'])
    expect(shown(2)).toEqual([2, null, [[2, 4], [6]], [6, 8], 'text'])
    expect(f.specializations).toHaveLength(2)
  })

  test('what a call like the last one may have changed since', () => {
    const weight = vector(2).setRequiresGrad()
    let traces = 0
    const f = compile((x: Tensor, n?: unknown) => {
      traces++
      return x.mul(weight).add(Object.is(n, -0) ? 10 : Number.isNaN(n) ? 20 : 0)
    })
    const counted = (body: () => unknown) => {
      const before = traces
      body()
      return traces - before
    }
    const x = vector(1)
    expect([counted(() => f(x)), counted(() => f(x)), counted(() => f(vector(3)))]).toEqual([1, 0, 0])
    const changes = [
      () => f(x, 0),
      () => f(x, -0),
      () => f(x, Number.NaN),
      () => f(x, '0'),
      () => f(vector(1).setRequiresGrad()),
      () => noGrad(() => f(x)),
      () => f(vector(1, 2)),
      () => f(x.cast('float64')),
    ]
    for (const change of changes) {
      f(x)
      expect([counted(change), counted(change), counted(() => f(x))]).toEqual([1, 0, 0])
    }
    weight.setRequiresGrad(false)
    expect([counted(() => f(x)), counted(() => f(x))]).toEqual([1, 0])
    expect([f(x, -0), f(x, Number.NaN), f(x)].map((y) => y.item())).toEqual([12, 22, 2])
  })

  test('nothing, plain values and undefined can be results', () => {
    expect(compile(() => undefined)()).toBeUndefined()
    expect(compile(() => 3)()).toBe(3)
    expect(compile((x: Tensor) => [x.shape, x.dtype])(vector(1))).toEqual([[1], 'float32'])
    expect(compile(() => zeros([2]))().toArray()).toEqual([0, 0])
  })

  test('shapes, dtypes, strides and static values tell programs apart; modules and functions count by identity', () => {
    const f = compile((x: Tensor, how?: unknown) => (typeof how === 'function' ? (how(x) as Tensor) : x.add(1)))
    const matrix = uniform([2, 3]) as Tensor
    const [a, b] = [new nn.Tanh(), new nn.Tanh()]
    const double = (x: Tensor) => x.mul(2)
    for (const round of [1, 2]) {
      f(vector(1))
      f(vector(1, 2))
      f(vector(1).cast('float64'))
      f(matrix)
      f(matrix.permute([1, 0]))
      for (const how of [0, -0, NaN, '0', true, null, undefined, 0n, double, a, b, [0], [[0]], { a: 0 }, { b: 0 }]) f(vector(1), how)
      // undefined that is given counts as another argument than none.
      expect(f.specializations, `round ${round}`).toHaveLength(20)
    }
    expect(f(vector(4), double).toArray()).toEqual([8])
    f.clear()
    expect(f.specializations).toHaveLength(0)
  })

  test('views as arguments and results', () => {
    const f = compile((x: Tensor) => [x.permute([1, 0]), x.narrow(0, 1, 1), x.add(0)] as const)
    const x = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]) as Tensor
    const [turned, row] = f(x)
    expect(turned.toArray()).toEqual([
      [1, 4],
      [2, 5],
      [3, 6],
    ])
    expect(row.toArray()).toEqual([[4, 5, 6]])
    const [, , sum] = f(x.slice([0, 2], [1, 3]).permute([1, 0]))
    expect(sum.toArray()).toEqual([
      [2, 5],
      [3, 6],
    ])
    noGrad(() => x.assign(0))
    expect(row.toArray()).toEqual([[0, 0, 0]])
  })

  test('arguments and captured tensors written in place, views of them too', () => {
    const total = zeros([2, 2]) as Tensor
    const f = (x: Tensor) => {
      x.slice([1, 2]).assign(x.slice([0, 1]).mul(10))
      total.slice([0, 1], [0, 2]).assign(total.slice([0, 1], [0, 2]).add(x.slice([0, 2]).reshape([1, 2])))
      total.permute([1, 0]).slice([0, 1]).assign(7)
      return x.sum()
    }
    const results = (g: typeof f) => {
      total.assign(0)
      const x = vector(1, 2, 3)
      const view = vector(9, 1, 2, 3, 9).narrow(0, 1, 3)
      const versions = [x.version, total.version]
      const out = [g(x), g(view), g(x)].map((y) => y.item())
      expect(x.version).toBeGreaterThan(versions[0]!)
      expect(total.version).toBeGreaterThan(versions[1]!)
      return [out, x.toArray(), view.toArray(), total.toArray()]
    }
    expect(results(compile(f))).toEqual(results(f))
  })

  test('results of one number are tensors of their own like any other', () => {
    const f = compile((x: Tensor) => [x.sum(), x.max().cast('int32'), x.sum().mul(2).reshape([1])] as [Tensor, Tensor, Tensor])
    const [first, second] = [f(vector(1, 2, 4)), f(vector(1, 2, -8))]
    const numbers = (results: readonly Tensor[]) => results.map((x) => x.dataSync()[0])
    expect(numbers(first)).toEqual([7, 4, 14])
    expect(numbers(second)).toEqual([-5, 2, -10])
    first[0].assign(8)
    const [again] = f(vector(1, 2, 4))
    expect([first[0].item(), again.item(), first[0].version, again.version]).toEqual([8, 7, 1, 0])
    expect(compile((x: Tensor) => x.add(again))(vector(1)).toArray()).toEqual([8])
    second[2].dispose()
    expect([second[2].released, second[1].released]).toEqual([true, false])
    expect(() => second[2].item()).toThrow(code('released-tensor'))
    const [inside, kept] = tidy(() => {
      const [sum, , double] = f(vector(3, 4))
      return [{ sum }, keep(double)]
    })
    expect([inside.sum.item(), kept.item()]).toEqual([7, 14])
    let lost: Tensor | undefined
    tidy(() => void (lost = f(vector(5))[0]))
    expect(lost!.released).toBe(true)
  })

  test('what others do to parameters and their gradients between runs', () => {
    const w = vector(2).setRequiresGrad()
    const step = compile((x: Tensor) => {
      w.grad = null
      const loss = x.mul(w).sum()
      loss.backward()
      return loss
    })
    const x = vector(3)
    for (let i = 0; i < 3; i++) expect(step(x).item()).toBe(6)
    const own = w.grad
    w.grad = null
    step(x)
    expect(w.grad).toBe(own)
    w.grad = vector(7)
    step(x)
    expect(w.grad!.toArray()).toEqual([3])
    w.requiresGrad = false
    expect(() => step(x)).toThrow(code('no-gradient'))
    w.requiresGrad = true
    expect(step(x).item()).toBe(6)
    step(x)
    w.dispose()
    expect(() => step(x)).toThrow(code('released-tensor'))
  })

  test('the training flag; inside noGrad; inside another; debug', () => {
    const layer = new nn.Dropout(0.999)
    const f = compile((x: Tensor) => layer.forward(x) as Tensor)
    const x = uniform([50], { low: 1, high: 2 }) as Tensor
    expect(f(x).toArray()).not.toEqual(x.toArray())
    layer.eval()
    expect(f(x).toArray()).toEqual(x.toArray())
    layer.train()
    expect(f(x).toArray()).not.toEqual(x.toArray())
    expect(f.specializations).toHaveLength(2)

    const inner = compile((y: Tensor) => y.mul(2))
    const outer = compile((y: Tensor) => noGrad(() => inner(inner(y))))
    expect(noGrad(() => outer(vector(1, 2))).toArray()).toEqual([4, 8])
    expect([inner, outer].map((g) => g.specializations.length)).toEqual([0, 1])

    const debug = compile((y: Tensor) => (y.item() > 0 ? y.mul(2) : y), { debug: true })
    expect(debug(vector(2)).item()).toBe(4)
    expect(debug.specializations).toHaveLength(0)
  })

  test('memory stays flat', () => {
    const steps = Number(process.env['COTANGENT_STEPS'] ?? (engine === 'wasm' ? 2000 : 100))
    const w = uniform([8, 8]).setRequiresGrad() as Tensor
    const step = compile((x: Tensor) => {
      w.grad = null
      const loss = x.matmul(w).tanh().square().mean() as Tensor
      loss.backward()
      noGrad(() => w.assign(w.sub(w.grad!.mul(0.01))))
      return loss
    })
    const x = uniform([16, 8]) as Tensor
    const settled = () => {
      reclaimerOf(currentEngine()).collect('hard')
      return currentEngine().memoryUse().inUse
    }
    step(x)
    const before = settled()
    for (let i = 0; i < steps; i++) step(x)
    expect(settled() - before).toBeLessThan(16 * 1024)
  })

  test.runIf(engine === 'wasm')('programs keep the memory that results of one number are read from', () => {
    const current = currentEngine()
    const read = vi.spyOn(current, 'readWord')
    const freed = vi.spyOn(current, 'free')
    const x = uniform([300, 300]) as Tensor
    // Large values between keep that memory from being watched together with what the program holds anyway.
    const f = compile((x: Tensor) => x.matmul(x).matmul(x).sum() as Tensor)
    f(x)
    for (let i = 0; i < 100; i++) uniform([8])
    reclaimerOf(current).collect('hard')
    f(x)
    const words = new Set(read.mock.calls.map(([buffer]) => buffer))
    expect(words.size).toBe(1)
    expect(freed.mock.calls.filter(([buffer]) => words.has(buffer))).toEqual([])
  })

  test('dropped programs give their memory back', () => {
    const w = uniform([64, 64]).setRequiresGrad() as Tensor
    const f = compile(
      (x: Tensor) => {
        w.grad = null
        x.matmul(w).square().mean().backward()
      },
      { cacheSize: 2 },
    )
    vi.spyOn(console, 'warn').mockImplementation(() => {})
    const settled = () => {
      reclaimerOf(currentEngine()).collect('hard')
      return currentEngine().memoryUse().inUse
    }
    const run = (n: number) => f(uniform([n, 64]) as Tensor)
    const cycle = () => {
      for (let n = 1; n < 12; n++) run(n)
    }
    cycle()
    const before = settled()
    for (let i = 0; i < 3; i++) cycle()
    expect(f.specializations).toHaveLength(2)
    // A gradient of 16 KiB for each program that is gone would make 528 KiB.
    expect(settled() - before).toBeLessThan(128 * 1024)
  })
})

describe('the cache of programs', () => {
  const warnings = () => vi.spyOn(console, 'warn').mockImplementation(() => {})
  const of = (n: number) => zeros([n]) as Tensor

  test('keeps those that were used last', () => {
    warnings()
    const f = compile((x: Tensor) => x.add(1), { cacheSize: 2 })
    const sizes = () => f.specializations.map((s) => s.executable.program.graph.inputs[0]!.spec.shape[0])
    for (const n of [1, 2, 1, 3]) f(of(n))
    expect(sizes().sort()).toEqual([1, 3])
    expect(() => compile((x: Tensor) => x, { cacheSize: 0 })).toThrow(code('invalid-argument', 'cache of 0 programs'))
  })

  test('tells once which shape keeps changing', () => {
    const warn = warnings()
    function padded(x: Tensor, { y }: { y: Tensor }) {
      return x.add(y.sum())
    }
    const f = compile(padded, { dynamic: false })
    for (let n = 1; n <= 12; n++) f(of(3), { y: of(n) })
    expect(warn).toHaveBeenCalledTimes(1)
    expect(warn.mock.calls[0]![0]).toMatch(
      /traced padded 9 times\. args\[1\]\.y keeps changing \(float32 \[8\], then float32 \[9\]\)\. .*pad it/,
    )
  })

  test('tells which plain value, object or guard keeps changing', () => {
    const warn = warnings()
    const f = compile((x: Tensor, options: { lr: number }) => x.mul(options.lr))
    const g = compile((x: Tensor, how: (y: Tensor) => Tensor) => how(x))
    const layers = Array.from({ length: 9 }, () => new nn.Dropout(0.5))
    const h = compile((x: Tensor) => layers.reduce((y, layer) => layer.forward(y), x))
    for (let n = 0; n < 9; n++) {
      f(of(1), { lr: n / 10 })
      g(of(1), (y) => y.add(1))
      layers[n]!.eval()
      h(of(1))
    }
    const said = warn.mock.calls.map(([text]) => text as string)
    expect(said[0]).toMatch(/args\[1\]\.lr keeps changing \(0\.7, then 0\.8\)\. .*as a tensor/)
    expect(said[1]).toMatch(/args\[1\] keeps changing \(function #\d+, then function #\d+\)\. .*make it once/)
    expect(said[2]).toMatch(/What keeps changing: Dropout\.training/)
  })

  test('says nothing of programs that are used', () => {
    const warn = warnings()
    const f = compile((x: Tensor) => x.add(1))
    for (let n = 1; n <= 8; n++) for (let i = 0; i < 5; i++) f(of(n))
    expect(warn).not.toHaveBeenCalled()
  })
})

describe('what cannot be compiled is refused', () => {
  test('branches on values: the error names the line and the remedy', () => {
    const f = compile((x: Tensor) => {
      if (x.sum().item() > 0) return x
      return x.neg()
    })
    expect(() => f(vector(1))).toThrow(code('tracer-read', 'read at .*compile\\.test\\.ts:\\d+', 'where\\(\\)'))
    expect(compile((x: Tensor) => where(x.sum().gt(0), x, x.neg()))(vector(-1)).item()).toBe(1)
    for (const read of [(x: Tensor) => x.toArray(), (x: Tensor) => `${x.dataSync()}`, (x: Tensor) => x.nonzero()])
      expect(() => compile(read)(vector(1))).toThrow(code('tracer-read'))
  })

  test('captured tensors that JavaScript reads are constants, until they change', () => {
    const limit = vector(2)
    const f = compile((x: Tensor) => x.mul(limit.item()))
    expect(f(vector(3)).item()).toBe(6)
    limit.assign(5)
    expect(f(vector(3)).item()).toBe(15)
    const g = compile((x: Tensor) => {
      limit.assign(limit.add(x))
      return limit.item()
    })
    expect(() => g(vector(1))).toThrow(code('tracer-read', 'changed this tensor in place', 'compile\\.test\\.ts'))
    expect(limit.item()).toBe(5)
    const rows = uniform([3, 2]) as Tensor
    expect(compile((x: Tensor) => x.at([true, false, true] as never) as Tensor)(rows).shape).toEqual([2, 2])
  })

  test('async functions', () => {
    // oxlint-disable-next-line require-await -- what is wrong with it
    expect(() => compile(async (x: Tensor) => x)(vector(1))).toThrow(code('invalid-argument', 'compile: .*async'))
  })

  test('arguments and captured tensors of several engines', () => {
    setEngine('reference')
    const other = vector(1)
    setEngine('wasm')
    const add = compile((x: Tensor, y: Tensor) => x.add(y))
    expect(() => add(vector(1), other)).toThrow(code('invalid-argument', 'the arguments live on different engines, wasm and reference'))
    expect(() => compile((x: Tensor) => x.add(other))(vector(1))).toThrow(
      code('invalid-argument', 'the tensors that it uses live on different engines'),
    )
    expect(compile((x: Tensor) => x.add(1))(other).engine.name).toBe('reference')
    expect(compile(() => other.add(1))().engine.name).toBe('reference')
  })

  test('arrays of numbers, which would be constants', () => {
    const f = compile((x: Float32Array) => tensor(x))
    expect(() => f(new Float32Array(2))).toThrow(code('invalid-argument', 'Float32Array', 'tensor\\(values\\)'))
  })

  test('memory that comes in twice and is written', () => {
    const total = zeros([3]) as Tensor
    const read = compile((x: Tensor) => x.add(total))
    expect(read(total).toArray()).toEqual([0, 0, 0])
    const f = compile((x: Tensor) => void total.assign(total.add(x)))
    f(vector(1, 2, 3))
    expect(() => f(total)).toThrow(code('invalid-argument', 'changed by the compiled function', 'clone'))
    const g = compile((x: Tensor, y: Tensor) => void x.assign(x.add(y)))
    const x = vector(1, 2)
    g(x, vector(1, 1))
    expect(() => g(x, x)).toThrow(code('invalid-argument', 'share memory'))
    expect(() => g(x, x.flip(0).clone())).not.toThrow()
    expect(() => g(x.narrow(0, 0, 1), x.narrow(0, 1, 1))).toThrow(code('invalid-argument', 'share memory'))
    const h = compile((y: Tensor) => void y.assign(total.add(y)))
    expect(() => h(total)).toThrow(code('invalid-argument', 'captured'))
  })

  test('tensors that were disposed, with nothing done by half', () => {
    const w = vector(1, 2)
    const calls: number[] = []
    const f = compile((x: Tensor) => dropout(x.add(w), 0.5))
    f(vector(1, 2))
    w.dispose()
    expect(() => f(vector(1, 2))).toThrow(code('released-tensor'))
    const x = vector(1)
    const g = compile((y: Tensor) => y.add(1))
    g(x)
    x.dispose()
    expect(() => g(x)).toThrow(code('released-tensor'))
    expect(calls).toEqual([])
  })

  test('errors of the engine name the op and the line', () => {
    class Failing extends ReferenceEngine {
      override prepare(program: Parameters<ReferenceEngine['prepare']>[0]) {
        if (program.kind !== 'kernel' || !program.name.includes('erf')) return super.prepare(program)
        return {
          run: () => {
            throw new CotangentError('engine-failure', { op: program.name, message: 'the machine is on fire' })
          },
        }
      }
    }
    registerEngine('failing', () => new Failing())
    setEngine('failing')
    const f = compile((x: Tensor) => erf(x.matmul(x).add(1)).sum())
    expect(() => f(zeros([2, 2]) as Tensor)).toThrow(
      code('engine-failure', 'erf.* called at .*compile\\.test\\.ts:\\d+', 'the machine is on fire'),
    )
  })

  test('an error of the function leaves nothing behind, and the next call tries again', () => {
    const w = vector(1).setRequiresGrad()
    let fail = true
    const f = compile((x: Tensor) => {
      x.mul(w).sum().backward()
      if (fail) throw new RangeError('not today')
      return x.add(1)
    })
    expect(() => f(vector(1))).toThrow('not today')
    expect(w.grad).toBeNull()
    fail = false
    expect(f(vector(1)).item()).toBe(2)
    expect(() => compile((x: Tensor) => x.matmul(vector(1, 2, 3)))(uniform([2, 2]) as Tensor)).toThrow(code('shape-mismatch', 'matmul'))
  })
})
