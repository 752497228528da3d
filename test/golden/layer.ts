import { ctcLoss, nn, type Tensor } from 'cotangent'
import { table } from '../../packages/core/src/op/table.ts'
import type { GoldenCase } from './load.ts'

type LayerClass = new (...options: never[]) => nn.Module & { forward(...inputs: unknown[]): unknown }

interface Settings {
  readonly training: boolean
  readonly after: readonly string[]
  readonly options?: object
}

/** The op, or a layer of it, that a case of the family `nn` names. */
export function layerOf({ name }: GoldenCase): (...args: never[]) => unknown {
  // PyTorch's gradient by log-probabilities is only right behind a logSoftmax.
  if (name === 'ctcLoss') return (logits: Tensor, ...rest: [Tensor]) => ctcLoss(logits.logSoftmax(), ...rest)
  const op = table.get(name)
  if (op) return op.call
  const Layer = (nn as unknown as Record<string, LayerClass>)[name]
  if (!Layer) throw new TypeError(`there is no op and no layer ${name}`)
  return (options: never[], state: Record<string, Tensor>, inputs: unknown[], settings: Settings) => {
    const layer = new Layer(...options).train(settings.training)
    fill(layer, state)
    const output = layer.forward(...withOptions(inputs, name, settings.options))
    const buffers = layer.namedBuffers()
    return [output, settings.after.map((buffer) => buffers.get(buffer)!.detach())]
  }
}

/** Puts the tensors themselves in the parameters' places, so that gradients arrive at them; buffers are copies. */
function fill(layer: nn.Module, state: Record<string, Tensor>): void {
  const slots = [...layer.slots()].filter(({ value }) => !(value instanceof nn.Module))
  const names = slots.map((slot) => slot.name)
  if (names.sort().join() !== Object.keys(state).sort().join()) throw new TypeError(`the layer has ${names}, the case ${Object.keys(state)}`)
  for (const { name, value, set } of slots) set(value instanceof nn.Buffer ? new nn.Buffer(state[name]!.detach().clone()) : new Given(state[name]!))
}

/** A parameter that is the same leaf as the tensor it is made of. */
class Given extends nn.Parameter {
  constructor(value: Tensor) {
    super(value.detach(), { requiresGrad: false })
    if (value.edge) this.attach(value.edge)
  }
}

/** Attention takes its options behind query, key and value. */
function withOptions(inputs: unknown[], name: string, options: object | undefined): unknown[] {
  if (!options) return inputs
  const x = inputs[0]
  return name === 'MultiheadAttention' && inputs.length === 1 ? [x, x, x, options] : [...inputs, options]
}
