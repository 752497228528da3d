import { MultiheadAttention } from '../nn/attention.ts'
import { BatchNorm } from '../nn/batch-norm.ts'
import { ConvLayer } from '../nn/conv-layer.ts'
import { Linear } from '../nn/linear.ts'
import { Module } from '../nn/module.ts'
import { Buffer } from '../nn/parameter.ts'
import { GRUCell, LSTMCell, RNNCell } from '../nn/recurrent.ts'
import type { LoadOptions, LoadReport, StateDict, StateSource } from '../nn/state-dict.ts'
import { noGrad } from '../tensor/modes.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Conv1D } from './gpt2.ts'
import type { PyTorchNames } from './pytorch-names.ts'

/** A parameter or buffer here, and what PyTorch calls it. */
interface Entry {
  readonly ours: string
  readonly theirs: string
  readonly value: Tensor
  /** Whether PyTorch has the axes in another order; see `toTheirs`. */
  readonly turned: boolean
}

/**
 * Loads a state dict that PyTorch wrote (`torch.save`, or safetensors of the Hugging Face hub) into a model. Names become snake_case
 * (`runningMean` is `running_mean`; layers say where else they differ), and weights take this library's layouts: `[out, in]`
 * of linear and recurrent layers becomes `[in, out]`, and `[out, in, ...kernel]` of convolutions `[...kernel, in, out]`.
 *
 *     const file = await readFile('resnet50.safetensors')
 *     loadPyTorchState(resnet50(), loadSafetensors(file))
 *
 * @returns What was missing, by its name here, and what nothing here is called, by its name there; nothing with `strict` (default).
 * @throws {CotangentError} `invalid-argument` that lists everything that does not fit, before anything is changed.
 */
export function loadPyTorchState(model: Module, state: StateSource, options: LoadOptions = {}): LoadReport {
  const { pytorchPrefix: prefix } = namesOf(model)
  const given = Symbol.iterator in state ? [...(state as Iterable<readonly [string, Tensor]>)] : Object.entries(state)
  const inside = prefix === undefined ? [] : given.filter(([name]) => name.startsWith(prefix))
  const own = inside.length === 0 ? given : inside.map(([name, value]) => [name.slice(prefix!.length), value] as const)
  const entries = new Map(entriesOf(model).map((entry) => [entry.theirs, entry]))
  const isExtra = extrasOf(model)
  return noGrad(() =>
    model.loadStateDict(
      own.flatMap(([name, value]): [string, Tensor][] => {
        const known = name.replace(/\bLayerNorm\.gamma$/, 'LayerNorm.weight').replace(/\bLayerNorm\.beta$/, 'LayerNorm.bias')
        const entry = entries.get(known)
        if (entry) return [[entry.ours, entry.turned ? toOurs(value) : value]]
        return isExtra(known) ? [] : [[name, value]]
      }),
      options,
    ),
  )
}

/** The state of a model under the names and in the layouts that PyTorch has for it: what `load_state_dict` takes there. */
export function pytorchState(model: Module): StateDict {
  return Object.fromEntries(
    entriesOf(model).map(({ theirs, value, turned }) => {
      const own = value.detach()
      return [theirs, turned ? toTheirs(own) : own]
    }),
  )
}

/** `[...kernel, in, out]` to `[out, in, ...kernel]`, and `[in, out]` to `[out, in]`. */
const toTheirs = (x: Tensor): Tensor => x.permute([x.rank - 1, x.rank - 2, ...Array.from({ length: x.rank - 2 }, (_, axis) => axis)])

const toOurs = (x: Tensor): Tensor => (x.rank < 2 ? x : x.permute([...Array.from({ length: x.rank - 2 }, (_, axis) => axis + 2), 1, 0]))

const namesOf = (module: Module): PyTorchNames => module as unknown as PyTorchNames

/** Fields of layers in `nn` that PyTorch calls otherwise. */
const layerNames: Readonly<Record<string, string>> = { crossAttn: 'multihead_attn', batches: 'num_batches_tracked' }

/** Every parameter and persistent buffer below `model`. */
function entriesOf(model: Module): Entry[] {
  const owners = new Map<string, { readonly module: Module; readonly theirs: string }>([['', { module: model, theirs: '' }]])
  const entries: Entry[] = []
  for (const { name, value } of model.slots()) {
    const path = ownerOf(name, owners)
    const owner = owners.get(path)!
    const field = path === '' ? name : name.slice(path.length + 1)
    const names = { ...layerNames, ...namesOf(owner.module).pytorchNames }
    const theirs = [...(owner.theirs ? [owner.theirs] : []), ...field.split('.').map((part) => names[part] ?? snakeCase(part))].join('.')
    if (value instanceof Module) owners.set(name, { module: value, theirs })
    else if (!(value instanceof Buffer) || value.persistent) {
      entries.push({ ours: name, theirs: flatCell(theirs), value, turned: value.rank > 1 && isTurned(owner.module, field) })
    }
  }
  return entries
}

/** The longest path of a module that a name lies below. */
function ownerOf(name: string, owners: ReadonlyMap<string, unknown>): string {
  let end = name.lastIndexOf('.')
  while (end >= 0 && !owners.has(name.slice(0, end))) end = name.lastIndexOf('.', end - 1)
  return name.slice(0, Math.max(end, 0))
}

const snakeCase = (name: string): string => name.replace(/(?<=[a-z\d])[A-Z]/g, (letter) => `_${letter}`).toLowerCase()

/** Recurrent layers have no modules for their cells there: `cells.0.backward.weight_ih` is `weight_ih_l0_reverse`. */
const flatCell = (name: string): string =>
  name.replace(/\bcells\.(\d+)\.(forward|backward)\.(\w+)$/, (_, layer, direction, field) =>
    direction === 'backward' ? `${field}_l${layer}_reverse` : `${field}_l${layer}`,
  )

function isTurned(module: Module, field: string): boolean {
  if (module instanceof ConvLayer) return field === 'weight'
  if (module instanceof Linear) return field === 'weight' && !(module instanceof Conv1D)
  if (module instanceof MultiheadAttention) return field.endsWith('ProjWeight')
  return module instanceof RNNCell || module instanceof LSTMCell || module instanceof GRUCell
}

/** Whether a name that nothing here has follows from others, by what the model and its parts say of it. */
function extrasOf(model: Module): (name: string) => boolean {
  const own = namesOf(model).pytorchExtras
  const counted = [...model.modules()].some((module) => module instanceof BatchNorm)
  return (name) => own?.test(name) === true || (counted && name.endsWith('.num_batches_tracked'))
}
