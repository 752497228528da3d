import { add, compile, manualSeed, nn, noGrad, normal, optim, relu, tensor, type Tensor } from 'cotangent'
import { expect, test } from 'vitest'
import { decodeEvents } from './decode-events.ts'
import type { TensorBoardEvent } from './event.ts'
import { EventWriter, type GraphInput } from './index.ts'

/** A block with a normalisation, which keeps running means, and a shortcut. */
class Block extends nn.Module {
  readonly fc = new nn.Linear(4, 4)
  readonly norm = new nn.BatchNorm1d(4)
  forward(x: Tensor): Tensor {
    return add(x, relu(this.norm.forward(this.fc.forward(x)) as Tensor)) as Tensor
  }
}

class Net extends nn.Module {
  readonly first = new Block()
  readonly second = new Block()
  readonly head = new nn.Linear(4, 1)
  forward(x: Tensor): Tensor {
    return this.head.forward(this.second.forward(this.first.forward(x))) as Tensor
  }
}

/** Names of a graph's nodes as a reader finds them. */
async function namesOf(graph: GraphInput, names?: ReadonlyMap<string, Tensor>): Promise<string[]> {
  const pieces: Uint8Array[] = []
  const sink = { append: (bytes: Uint8Array) => void pieces.push(bytes), flush: async () => {}, close: async () => {} }
  const writer = new EventWriter(sink)
  writer.graph(graph, names ? { names } : {})
  await writer.close()
  const events: TensorBoardEvent[] = []
  for await (const event of decodeEvents(Buffer.concat(pieces))) events.push(event)
  return events.flatMap((event) => (event.kind === 'graph' ? event.nodes.map(({ name }) => name) : []))
}

const namesIn = (model: Net) => new Map<string, unknown>([...model.namedParameters(), ...model.namedBuffers()]) as Map<string, Tensor>

function stepOf(model: Net) {
  const optimizer = new optim.AdamW(model, { lr: 0.1 })
  const step = compile((x: Tensor) => {
    optimizer.zeroGrad()
    const loss = model.forward(x).square().mean()
    loss.backward()
    optimizer.step()
    return loss
  })
  step(normal([6, 4]) as Tensor)
  return step
}

test('ops of a training step lie in the modules that they belong to', async () => {
  manualSeed(1)
  const model = new Net()
  const step = stepOf(model)
  const names = await namesOf(step, namesIn(model))
  expect(new Set(names).size).toBe(names.length)
  expect(names).toEqual(
    expect.arrayContaining([
      'argument_0',
      'first/fc/weight',
      'first/fc/matmul',
      'first/norm/batchNorm',
      'first/norm/runningMean',
      'first/norm/lerp',
      'first/relu',
      'first/add',
      'second/norm/batchNorm',
      'head/matmul',
      'square',
      'mean',
      'gradients/head/matmul',
      'gradients/second/norm/batchNormGrad',
      'gradients/first/reluGrad',
      'optimizer/first/fc/AdamW',
      'optimizer/head/AdamW_1',
      'result_0',
    ]),
  )
  const outermost = new Set(names.map((name) => name.split('/')[0]))
  expect([...outermost].sort()).toEqual(['argument_0', 'first', 'gradients', 'head', 'mean', 'optimizer', 'result_0', 'second', 'square'])
})

test('a step that returns nothing is told from its backward pass, too', async () => {
  manualSeed(1)
  const model = new Net()
  const optimizer = new optim.SGD(model, { lr: 0.1 })
  const total = tensor(0)
  const step = compile((x: Tensor) => {
    optimizer.zeroGrad()
    const loss = model.forward(x).square().mean()
    loss.backward()
    optimizer.step()
    noGrad(() => total.assign(total.add(loss)))
  })
  step(normal([6, 4]) as Tensor)
  const names = await namesOf(step, namesIn(model))
  expect(names).toEqual(
    expect.arrayContaining(['first/fc/matmul', 'second/relu', 'statistics/mean', 'gradients/first/fc/matmul', 'optimizer/head/SGD']),
  )
  expect(new Set(names.map((name) => name.split('/')[0]))).toEqual(
    new Set(['argument_0', 'first', 'second', 'head', 'statistics', 'gradients', 'optimizer']),
  )
})

test('without names nothing is known of modules', async () => {
  const names = await namesOf(stepOf(new Net()))
  expect(names).toContain('captured')
  expect(new Set(names.filter((name) => name.includes('/')).map((name) => name.split('/')[0]))).toEqual(
    new Set(['gradients', 'optimizer', 'statistics']),
  )
})
