import { CotangentError } from '../errors.ts'
import type { Checked, Einsum, Result, ShapesOf } from '../shape-types.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { matmul } from './matmul.ts'
import { defineFunction, sampleTensor } from './table.ts'

/** An operand and the label of each of its axes. */
interface Labelled {
  x: Tensor
  labels: string[]
}

interface EinsumFunction {
  <const Equation extends string, const Operands extends readonly Tensor[]>(
    equation: Checked<Einsum<Equation, ShapesOf<Operands>>, Equation>,
    ...operands: Operands
  ): Tensor<Result<Einsum<Equation, ShapesOf<Operands>>>>
}

export const einsum: EinsumFunction = defineFunction({
  name: 'einsum',
  doc: 'Sums of products by Einstein notation, e.g. einsum("bij,bjk->bik", a, b). Ellipses stand for leading broadcast axes.',
  call: ((equation: string, ...operands: Tensor[]): Tensor => {
    const { inputs, output } = parse(equation, operands)
    let parts = inputs.map((labels, i) => withoutRepeats({ x: operands[i]!, labels }))
    checkSizes(parts)
    while (parts.length > 1) {
      const [a, b, ...rest] = parts as [Labelled, Labelled, ...Labelled[]]
      const needed = new Set([...output, ...rest.flatMap((p) => p.labels)])
      parts = [contract(a, b, needed), ...rest]
    }
    const { x, labels } = sumOut(parts[0]!, new Set(output))
    return x.permute(output.map((l) => labels.indexOf(l)))
  }) as EinsumFunction,
  samples: () => [
    { args: ['ij,jk->ik', sampleTensor([2, 3]), sampleTensor([3, 4])] },
    { args: ['bij,bjk->bik', sampleTensor([2, 3, 4]), sampleTensor([2, 4, 2])] },
    { args: ['bhqd,bhkd->bhqk', sampleTensor([2, 2, 3, 4]), sampleTensor([2, 2, 5, 4])] },
    { args: ['ij->ji', sampleTensor([2, 3])] },
    { args: ['ij->', sampleTensor([2, 3])] },
    { args: ['ii->i', sampleTensor([3, 3])] },
    { args: ['ii', sampleTensor([3, 3])] },
    { args: ['i,j,k->ijk', sampleTensor([2]), sampleTensor([3]), sampleTensor([2])] },
    { args: ['...ij,...jk->...ik', sampleTensor([2, 2, 3]), sampleTensor([3, 2])] },
  ],
})

/** Labels of the operands and of the result; an ellipsis becomes labels `…0`, `…1`, counted from the right. */
function parse(equation: string, operands: readonly Tensor[]): { inputs: string[][]; output: string[] } {
  const [left = '', right, ...more] = equation.replaceAll(' ', '').split('->')
  const terms = left.split(',')
  const fail = (message: string, hint: string): never => {
    throw new CotangentError('invalid-argument', {
      op: 'einsum',
      message: `${message} in '${equation}'`,
      shapes: operands.map((x) => x.shape),
      hint,
    })
  }
  if (more.length > 0 || !/^[A-Za-z.,]*$/.test(left + (right ?? '')))
    fail('cannot read the notation', "Use letters, commas, '...' and one '->'.")
  if (terms.length !== operands.length)
    fail(`${terms.length} terms stand for ${operands.length} tensors`, 'Separate one term a tensor by commas.')
  const inputs = terms.map((term, i) => {
    const letters = term.replace('...', '').length
    const extra = operands[i]!.rank - letters
    if (extra < 0 || (extra > 0 && !term.includes('...')))
      fail(`term '${term}' does not fit rank ${operands[i]!.rank}`, 'Give one letter an axis.')
    return expandTerm(term, extra)
  })
  const dots = Math.max(0, ...inputs.map((labels) => labels.filter((l) => l.startsWith('…')).length))
  if (right !== undefined) {
    const output = expandTerm(right, dots)
    const known = new Set(inputs.flat())
    if (output.some((l) => !known.has(l)) || new Set(output).size !== output.length)
      fail('the result has an unknown or repeated label', 'Each label of the result comes once and from a term.')
    return { inputs, output }
  }
  // Without '->': the labels that occur once, in alphabetical order, after the ellipsis.
  const all = inputs.flat()
  const once = [...new Set(all)].filter((l) => !l.startsWith('…') && all.filter((m) => m === l).length === 1).sort()
  return { inputs, output: [...expandTerm('...', dots), ...once] }
}

function expandTerm(term: string, dots: number): string[] {
  const [before = '', after] = term.split('...')
  if (after === undefined) return [...before]
  return [...before, ...Array.from({ length: dots }, (_, i) => `…${dots - 1 - i}`), ...after]
}

function checkSizes(parts: readonly Labelled[]): void {
  const sizes = new Map<string, number>()
  for (const { x, labels } of parts) {
    labels.forEach((label, axis) => {
      const n = x.shape[axis]!
      const before = sizes.get(label) ?? n
      const broadcast = label.startsWith('…') && (n === 1 || before === 1)
      if (n !== before && !broadcast) {
        throw new CotangentError('shape-mismatch', {
          op: 'einsum',
          message: `label '${label}' stands for sizes ${before} and ${n}`,
          shapes: parts.map((p) => p.x.shape),
          hint: 'Use different labels for axes of different sizes.',
        })
      }
      sizes.set(label, Math.max(before, n))
    })
  }
}

/** `ii` takes the diagonal. */
function withoutRepeats({ x, labels }: Labelled): Labelled {
  const second = labels.findIndex((l, axis) => labels.indexOf(l) < axis)
  if (second < 0) return { x, labels }
  const first = labels.indexOf(labels[second]!)
  const rest = labels.filter((_, axis) => axis !== first && axis !== second)
  return withoutRepeats({ x: x.diagonal({ axis1: first, axis2: second }), labels: [...rest, labels[second]!] })
}

function sumOut({ x, labels }: Labelled, needed: ReadonlySet<string>): Labelled {
  const axes = labels.flatMap((l, axis) => (needed.has(l) ? [] : [axis]))
  return axes.length === 0 ? { x, labels } : { x: x.sum(axes), labels: labels.filter((l) => needed.has(l)) }
}

/** Multiplies two operands and sums over the labels that nothing else needs: one batched matrix product. */
function contract(left: Labelled, right: Labelled, needed: ReadonlySet<string>): Labelled {
  const a = sumOut(left, new Set([...needed, ...right.labels]))
  const b = sumOut(right, new Set([...needed, ...left.labels]))
  const shared = a.labels.filter((l) => b.labels.includes(l))
  const batch = shared.filter((l) => needed.has(l))
  const inner = shared.filter((l) => !needed.has(l))
  const rows = a.labels.filter((l) => !shared.includes(l))
  const columns = b.labels.filter((l) => !shared.includes(l))
  const sizeIn = (p: Labelled) => (l: string) => p.x.shape[p.labels.indexOf(l)]!
  const count = (labels: readonly string[], p: Labelled) => labels.map(sizeIn(p)).reduce((n, m) => n * m, 1)
  const arrange = (p: Labelled, order: readonly string[]) => p.x.permute(order.map((l) => p.labels.indexOf(l)))

  const x = arrange(a, [...batch, ...rows, ...inner]).reshape([...batch.map(sizeIn(a)), count(rows, a), count(inner, a)])
  const y = arrange(b, [...batch, ...inner, ...columns]).reshape([...batch.map(sizeIn(b)), count(inner, b), count(columns, b)])
  const product = matmul(x, y)
  const shape = [...product.shape.slice(0, batch.length), ...rows.map(sizeIn(a)), ...columns.map(sizeIn(b))]
  return { x: product.reshape(shape), labels: [...batch, ...rows, ...columns] }
}
