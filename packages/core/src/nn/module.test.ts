import { describe, expect, test } from 'vitest'
import { CotangentError, crossEntropy, manualSeed, nn, noGrad, ones, relu, type Tensor, tensor, zeros } from '../index.ts'

class Net extends nn.Module {
  readonly stem = new nn.Linear(4, 3)
  readonly blocks = [new nn.Linear(3, 3, { bias: false }), new nn.Linear(3, 3)]
  readonly heads = new Map([['a', new nn.Linear(3, 2)]])
  readonly named = { scale: new nn.Parameter(ones([3])) }
  readonly mean = new nn.Buffer(zeros([3]))
  readonly scratch = new nn.Buffer(zeros([1]), { persistent: false })
  readonly constant = ones([2])

  forward(x: Tensor): Tensor {
    const h = this.blocks.reduce((y: Tensor, block) => block.forward(y).relu(), this.stem.forward(x))
    return this.heads.get('a')!.forward(h.mul(this.named.scale).sub(this.mean))
  }
}

const names = [
  'stem.weight',
  'stem.bias',
  'blocks.0.weight',
  'blocks.1.weight',
  'blocks.1.bias',
  'heads.a.weight',
  'heads.a.bias',
  'named.scale',
]

describe('parts', () => {
  const net = new Net()

  test('parameters, buffers and children are found in fields, arrays, maps and objects', () => {
    expect([...net.namedParameters().keys()]).toEqual(names)
    expect(net.parameters().every((p) => p.requiresGrad && p.isLeaf)).toBe(true)
    expect([...net.namedBuffers().keys()]).toEqual(['mean', 'scratch'])
    expect([...net.namedChildren().keys()]).toEqual(['stem', 'blocks.0', 'blocks.1', 'heads.a'])
    expect([...net.namedModules().keys()]).toEqual(['', 'stem', 'blocks.0', 'blocks.1', 'heads.a'])
  })

  test('a shared part counts once, under its first name', () => {
    const layer = new nn.Linear(2, 2)
    const twice = new nn.Sequential(layer, relu, layer)
    expect([...twice.namedParameters().keys()]).toEqual(['0.weight', '0.bias'])
    expect(twice.modules().length).toBe(2)
    expect(Object.keys(twice.stateDict())).toEqual(['0.weight', '0.bias', '2.weight', '2.bias'])
  })

  test('a parameter that takes the place of another is found instead', () => {
    const model = new nn.Linear(2, 2)
    const tied = new nn.Parameter(ones([2, 2]))
    model.weight = tied
    expect(model.parameters()[0]).toBe(tied)
  })

  test('toString shows the tree', () => {
    const model = new nn.Sequential(
      new nn.Conv2d(1, 8, 3, { stride: 2, padding: 'same' }),
      relu,
      new nn.Sequential(new nn.MaxPool2d(2), new nn.Flatten()),
      new nn.Linear(8, 10),
    )
    expect(model.toString()).toBe(`Sequential(
  (0): Conv2d(1, 8, kernelSize: 3, stride: 2, padding: 'same')
  (1): relu
  (2): Sequential(
    (0): MaxPool2d(2)
    (1): Flatten()
  )
  (3): Linear(8, 10)
)`)
  })
})

describe('changes to all parts', () => {
  test('train and eval reach every module', () => {
    const net = new Net().eval()
    expect(net.modules().some((m) => m.training)).toBe(false)
    expect(net.train().blocks[1]!.training).toBe(true)
  })

  test('freeze, unfreeze and zeroGrad', () => {
    const net = new Net()
    net.stem.freeze()
    net
      .forward(ones([2, 4]))
      .sum()
      .backward()
    expect(net.stem.weight.grad).toBe(null)
    expect(net.heads.get('a')!.bias!.grad!.toArray()).toEqual([2, 2])
    expect(
      net
        .zeroGrad()
        .parameters()
        .every((p) => p.grad === null),
    ).toBe(true)
    net
      .unfreeze()
      .forward(ones([2, 4]))
      .sum()
      .backward()
    expect(net.stem.weight.grad).not.toBe(null)
  })

  test('to(dtype) replaces float parameters and buffers, and keeps sharing', () => {
    const layer = new nn.Linear(2, 2)
    const model = new nn.Sequential(layer, layer).freeze().to('float64')
    expect(layer.weight.dtype).toBe('float64')
    expect(layer.weight.requiresGrad).toBe(false)
    expect(model.parameters().length).toBe(2)
    expect(new Net().to('float16').mean.dtype).toBe('float16')
  })

  test('apply visits children before their parents', () => {
    const seen: string[] = []
    new nn.Sequential(new nn.Linear(1, 1), new nn.ReLU()).apply((m) => void seen.push(m.constructor.name))
    expect(seen).toEqual(['ReLU', 'Linear', 'Sequential'])
  })
})

describe('state', () => {
  test('goes from one model to another', () => {
    const [a, b] = [new Net(), new Net()]
    a.mean.assign(3)
    expect(Object.keys(a.stateDict()).sort()).toEqual([...names, 'mean'].sort())
    expect(b.loadStateDict(a.stateDict())).toEqual({ missing: [], unexpected: [] })
    const x = ones([1, 4])
    expect(b.forward(x).toArray()).toEqual(a.forward(x).toArray())
    expect(b.mean.toArray()).toEqual([3, 3, 3])
    expect(b.stem.weight.requiresGrad).toBe(true)
    expect(new Net().loadStateDict(new Map(Object.entries(a.stateDict()))).missing).toEqual([])
  })

  test('everything that does not fit is listed, and nothing is loaded', () => {
    const model = new nn.Linear(2, 3)
    const before = model.weight.toArray()
    const load = () => model.loadStateDict({ weight: zeros([3, 2]), bias2: zeros([3]) })
    expect(load).toThrow(CotangentError)
    expect(load).toThrow(
      'loadStateDict: 3 entries do not fit Linear:\n  bias is missing\n  bias2 is not part of the module\n  weight has shape [3, 2] instead of [2, 3]\nNothing was loaded',
    )
    expect(() => model.loadStateDict({ weight: zeros([2, 3], { dtype: 'float64' }), bias: zeros([3]) })).toThrow(
      'weight is float64 instead of float32',
    )
    expect(model.weight.toArray()).toEqual(before)
  })

  test('without strict, what fits is loaded and cast', () => {
    const model = new nn.Linear(2, 1)
    expect(model.loadStateDict({ weight: ones([2, 1], { dtype: 'float64' }), other: zeros([]) }, { strict: false })).toEqual({
      missing: ['bias'],
      unexpected: ['other'],
    })
    expect(model.weight.toArray()).toEqual([[1], [1]])
    expect(() => model.loadStateDict({ weight: ones([3, 1]) }, { strict: false })).toThrow('weight has shape [3, 1] instead of [2, 1]')
  })
})

describe('hooks', () => {
  test('change inputs and outputs, run in order, and can be removed', () => {
    const layer = new nn.Linear(1, 1, { bias: false })
    noGrad(() => layer.weight.assign(2))
    const x = tensor([[1]]) as Tensor<[1, 1]>
    const value = () => layer.forward(x).item()
    const removers = [
      layer.registerForwardPreHook((_, [input]) => [(input as Tensor).add(1)]),
      layer.registerForwardHook((module, inputs, output) => {
        expect(module).toBe(layer)
        expect((inputs[0] as Tensor).item()).toBe(2)
        return (output as Tensor).mul(10)
      }),
      layer.registerForwardHook(() => undefined),
    ]
    expect(value()).toBe(40)
    expect(new nn.Sequential(layer).forward(x).item()).toBe(40)
    removers[0]!()
    removers[0]!()
    expect(() => value()).toThrow('expected 1 to be 2')
    removers[1]!()
    expect(value()).toBe(2)
    removers[2]!()
    expect(Object.hasOwn(layer, 'forward')).toBe(false)
  })
})

test('a small network learns', () => {
  manualSeed(1)
  const model = new nn.Sequential(new nn.Linear(2, 16), new nn.Tanh(), new nn.Linear(16, 2))
  const x = tensor([0, 0, 0, 1, 1, 0, 1, 1], { shape: [4, 2] }) as Tensor<[4, 2]>
  const y = tensor([0, 1, 1, 0], { dtype: 'int32' })
  let loss = Number.POSITIVE_INFINITY
  for (let step = 0; step < 200; step++) {
    const l = crossEntropy(model.forward(x), y)
    model.zeroGrad()
    l.backward()
    noGrad(() => {
      for (const p of model.parameters()) p.assign(p.sub(p.grad!.mul(0.5)))
    })
    loss = l.item()
  }
  expect(loss).toBeLessThan(0.1)
  expect(model.forward(x).argmax(-1).toArray()).toEqual([0, 1, 1, 0])
})
