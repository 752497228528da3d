import { sizeOf } from '../../layout.ts'
import { type RecurrentAttrs, recurrentCells } from '../routine.ts'
import type { Dense, RoutineMeaning } from './arithmetic.ts'

const numbers = (x: Dense): readonly number[] => x.values as readonly number[]
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

/** The steps in the order in which they are read, with the positions of the states before and behind each. */
function stepsOf(time: number, { reverse }: RecurrentAttrs): { t: number; before: number; after: number }[] {
  const forward = Array.from({ length: time }, (_, t) => ({ t, before: t + Number(reverse), after: t + Number(!reverse) }))
  return reverse ? forward.reverse() : forward
}

const firstOf = (time: number, { reverse }: RecurrentAttrs): number => (reverse ? time : 0)

export const recurrent: RoutineMeaning<'recurrent'> = (attrs, [share, weights, ...others], outputs) => {
  const { cell } = attrs
  const { gates, states: count, kept: keptCount } = recurrentCells[cell]
  const [time, batch, , size] = share!.shape as [number, number, number, number]
  const [x, w] = [numbers(share!), numbers(weights!)]
  const bias = others[count] && numbers(others[count])
  const first = firstOf(time, attrs) * batch * size
  const states = others.slice(0, count).map((initial) => {
    const all = new Array<number>((time + 1) * batch * size).fill(0)
    numbers(initial).forEach((value, i) => (all[first + i] = value))
    return all
  })
  const [hidden, cells] = states as [number[], number[] | undefined]
  const kept = new Array<number>(time * batch * keptCount * size).fill(0)
  for (const { t, before, after } of stepsOf(time, attrs)) {
    for (let b = 0; b < batch; b++) {
      const [from, to] = [(before * batch + b) * size, (after * batch + b) * size]
      for (let unit = 0; unit < size; unit++) {
        const fromInput: number[] = []
        const fromState: number[] = []
        for (let g = 0; g < gates; g++) {
          const column = g * size + unit
          let sum = bias?.[column] ?? 0
          for (let k = 0; k < size; k++) sum += hidden[from + k]! * w[k * gates * size + column]!
          fromState.push(sum)
          fromInput.push(x[((t * batch + b) * gates + g) * size + unit]!)
        }
        const z = fromInput.map((value, g) => value + fromState[g]!)
        const keep = (values: readonly number[]) =>
          values.forEach((value, i) => (kept[((t * batch + b) * keptCount + i) * size + unit] = value))
        switch (cell) {
          case 'lstm': {
            const [i, f, candidate, o] = [sigmoid(z[0]!), sigmoid(z[1]!), Math.tanh(z[2]!), sigmoid(z[3]!)]
            const next = f * cells![from + unit]! + i * candidate
            cells![to + unit] = next
            hidden[to + unit] = o * Math.tanh(next)
            keep([i, f, candidate, o])
            break
          }
          case 'gru': {
            const [r, u] = [sigmoid(z[0]!), sigmoid(z[1]!)]
            const candidate = Math.tanh(fromInput[2]! + r * fromState[2]!)
            hidden[to + unit] = (1 - u) * candidate + u * hidden[from + unit]!
            keep([r, u, candidate, fromState[2]!])
            break
          }
          case 'tanh':
            hidden[to + unit] = Math.tanh(z[0]!)
            break
          case 'relu':
            hidden[to + unit] = Math.max(z[0]!, 0)
        }
      }
    }
  }
  return outputs.length > count ? [...states, kept] : states
}

export const recurrentGrad: RoutineMeaning<'recurrentGrad'> = (attrs, inputs, [gatesOut]) => {
  const { cell } = attrs
  const { gates, states: count, kept: keptCount } = recurrentCells[cell]
  const [time, batch, , size] = gatesOut!.shape as [number, number, number, number]
  const [above, aboveCells] = inputs.slice(0, count).map(numbers) as [readonly number[], readonly number[] | undefined]
  const w = numbers(inputs[count]!)
  const [hidden, cells] = inputs.slice(count + 1, 2 * count + 1).map(numbers) as [readonly number[], readonly number[] | undefined]
  const kept = keptCount > 0 ? numbers(inputs[2 * count + 1]!) : []
  const fromState = new Array<number>(sizeOf(gatesOut!.shape)).fill(0)
  const fromInput = new Array<number>(cell === 'gru' ? fromState.length : 0).fill(0)
  const rows = batch * size
  // What comes back from the step read afterwards.
  let carry = new Array<number>(rows).fill(0)
  const carryCells = new Array<number>(rows).fill(0)
  for (const { t, before, after } of stepsOf(time, attrs).reverse()) {
    const next = new Array<number>(rows).fill(0)
    for (let row = 0; row < rows; row++) {
      const [b, unit] = [Math.floor(row / size), row % size]
      const at = (g: number) => ((t * batch + b) * gates + g) * size + unit
      const saved = (i: number) => kept[((t * batch + b) * keptCount + i) * size + unit]!
      const g = above[after * rows + row]! + carry[row]!
      switch (cell) {
        case 'lstm': {
          const [i, f, candidate, o] = [saved(0), saved(1), saved(2), saved(3)]
          const squashed = Math.tanh(cells![after * rows + row]!)
          const ofCell = aboveCells![after * rows + row]! + carryCells[row]! + g * o * (1 - squashed) * (1 + squashed)
          fromState[at(0)] = ofCell * candidate * i * (1 - i)
          fromState[at(1)] = ofCell * cells![before * rows + row]! * f * (1 - f)
          fromState[at(2)] = ofCell * i * (1 - candidate) * (1 + candidate)
          fromState[at(3)] = g * squashed * o * (1 - o)
          carryCells[row] = ofCell * f
          break
        }
        case 'gru': {
          const [r, u, candidate, share] = [saved(0), saved(1), saved(2), saved(3)]
          const ofCandidate = g * (1 - u) * (1 - candidate) * (1 + candidate)
          fromInput[at(0)] = fromState[at(0)] = ofCandidate * share * r * (1 - r)
          fromInput[at(1)] = fromState[at(1)] = g * (hidden[before * rows + row]! - candidate) * u * (1 - u)
          fromInput[at(2)] = ofCandidate
          fromState[at(2)] = ofCandidate * r
          next[row] = g * u
          break
        }
        case 'tanh': {
          const y = hidden[after * rows + row]!
          fromState[at(0)] = g * (1 - y) * (1 + y)
          break
        }
        case 'relu':
          fromState[at(0)] = hidden[after * rows + row]! > 0 ? g : 0
      }
    }
    for (let b = 0; b < batch; b++)
      for (let k = 0; k < size; k++)
        for (let column = 0; column < gates * size; column++)
          next[b * size + k]! += fromState[(t * batch + b) * gates * size + column]! * w[k * gates * size + column]!
    carry = next
  }
  const first = firstOf(time, attrs) * rows
  const firsts = [carry.map((value, row) => value + above[first + row]!)]
  if (aboveCells) firsts.push(carryCells.map((value, row) => value + aboveCells[first + row]!))
  return [fromState, ...firsts, ...(cell === 'gru' ? [fromInput] : [])]
}
