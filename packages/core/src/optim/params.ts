import { isFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { Tensor } from '../tensor/tensor.ts'

/** Whatever has named parameters: an `nn.Module`. */
export interface HasParameters {
  namedParameters(): Iterable<readonly [string, Tensor]>
}

/** Parameters to optimise: a module, tensors, or tensors with names (as `model.namedParameters()` gives them). */
export type ParamSource = HasParameters | Iterable<Tensor> | Iterable<readonly [string, Tensor]>

/** Parameters with options of their own; what is not given is as the optimiser's. */
export type ParamGroupSpec<O> = Partial<O> & { readonly params: ParamSource | Tensor }

/** What an optimiser is made of: parameters, or groups of them. */
export type Params<O> = ParamSource | readonly ParamGroupSpec<O>[]

const isRecord = (x: unknown): x is Record<string, unknown> => typeof x === 'object' && x !== null && !(x instanceof Tensor)

/** Parameters or groups of them -> groups. */
export function groupsOf<O>(op: string, params: Params<O>): ParamGroupSpec<O>[] {
  if (isRecord(params) && !('namedParameters' in params) && Symbol.iterator in params) {
    const entries = [...(params as Iterable<unknown>)]
    const grouped = entries.filter((e) => isRecord(e) && !Array.isArray(e) && 'params' in e).length
    if (grouped > 0 && grouped < entries.length)
      throw refused(op, 'some of the parameters are in groups and some are not', 'Put all of them in groups.')
    if (grouped > 0) return entries as ParamGroupSpec<O>[]
    return [{ params: entries as Tensor[] } as unknown as ParamGroupSpec<O>]
  }
  return [{ params } as unknown as ParamGroupSpec<O>]
}

/** The tensors of a source and, where it has any, their names. Refuses what cannot be optimised. */
export function listParams(op: string, source: ParamSource | Tensor): { params: Tensor[]; names?: string[] } {
  const entries: unknown[] = source instanceof Tensor ? [source] : [...iterate(op, source)]
  if (entries.length === 0) {
    throw refused(op, 'there are no parameters to optimise', 'An iterator gives its parameters only once: pass the module or an array.')
  }
  const named = entries.filter((e) => Array.isArray(e) && typeof e[0] === 'string').length
  if (named > 0 && named < entries.length)
    throw refused(op, 'some of the parameters have names and some have none', 'Name all of them or none.')
  const params = entries.map((e) => (named ? (e as unknown[])[1] : e)) as Tensor[]
  params.forEach((p, i) => checkParam(op, p, named ? (entries[i] as [string])[0] : String(i)))
  return { params, ...(named && { names: entries.map((e) => (e as [string])[0]) }) }
}

function iterate(op: string, source: ParamSource): Iterable<unknown> {
  if (isRecord(source) && 'namedParameters' in source) return (source as HasParameters).namedParameters()
  if (isRecord(source) && Symbol.iterator in source) return source as Iterable<unknown>
  throw refused(op, `cannot find parameters in ${String(source)}`, 'Pass a module, an array of tensors, or groups { params, ...options }.')
}

function checkParam(op: string, p: unknown, name: string): void {
  if (!(p instanceof Tensor))
    throw refused(op, `parameter ${name} is not a tensor but ${typeof p}`, 'Pass model.parameters() or an array of tensors.')
  if (!isFloat(p.dtype)) {
    throw new CotangentError('dtype-mismatch', {
      op,
      message: `parameter ${name} is ${p.dtype}, and only floats can be optimised`,
      shapes: [p.shape],
      dtypes: [p.dtype],
      hint: 'Leave it out of the parameters, or cast it.',
    })
  }
  if (!p.isLeaf) {
    throw refused(
      op,
      `parameter ${name} was computed from other tensors, so updating it would change nothing that lasts`,
      'Optimise the tensors that it was computed from, or x.detach().',
    )
  }
}

const refused = (op: string, message: string, hint: string) => new CotangentError('invalid-argument', { op, message, hint })
