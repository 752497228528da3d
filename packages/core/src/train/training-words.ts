import { directionOf, isBetter } from './metric-direction.ts'
import { formatCount, formatDuration, formatMetric } from './terminal-format.ts'
import type { Training } from './training.ts'

/** `20,490 parameters · AdamW, lr 0.001 · 3 epochs of 469 batches` */
export function describeStart({ model, optimizer, plan, epoch, batch, step }: Training): string {
  const parameters = model.parameters()
  const count = (frozen: boolean) => parameters.filter((p) => p.requiresGrad !== frozen).reduce((sum, p) => sum + p.size, 0)
  const frozen = count(true)
  const parts = [
    `${formatCount(count(false) + frozen)} parameters${frozen > 0 ? ` (${formatCount(frozen)} frozen)` : ''}`,
    `${optimizer.constructor.name}, lr ${Number(optimizer.lr.toPrecision(3))}`,
    planWords(plan),
  ]
  if (step > 0) parts.push(`from step ${formatCount(step)} (epoch ${epoch + 1}, batch ${formatCount(batch)})`)
  return parts.filter(Boolean).join('  ·  ')
}

function planWords({ epochs, batchesPerEpoch, totalSteps }: Training['plan']): string {
  const each = batchesPerEpoch === undefined ? '' : ` of ${counted(batchesPerEpoch, 'batch', 'batches')}`
  if (epochs !== Infinity) return `${counted(epochs, 'epoch')}${each}`
  return totalSteps === undefined ? '' : counted(totalSteps, 'step')
}

/** `3 epochs, 1,407 steps in 15.2 s  ·  best valLoss 0.0512 in epoch 3` */
export function describeEnd(training: Training): string {
  const { history, step, seconds, stopReason } = training
  const done = history.epochs.at(-1)?.epoch ?? 0
  const text = `${counted(done, 'epoch')}, ${counted(step, 'step')} in ${formatDuration(1000 * seconds)}`
  const why = stopReason === 'finished' || stopReason === null ? '' : `  ·  ${reasonWords[stopReason] ?? stopReason}`
  return text + why + bestWords(training)
}

const reasonWords: Readonly<Record<string, string>> = {
  maxSteps: 'all steps are done',
  maxTime: 'the time is over',
  interrupted: 'interrupted',
}

function bestWords({ history }: Training): string {
  const name = ['valLoss', 'loss'].find((known) => history.values(known).length > 1)
  if (name === undefined) return ''
  let best: { value: number; epoch: number } | undefined
  for (const { logs, epoch } of history.epochs) {
    const value = logs[name]
    if (value !== undefined && isBetter(value, best?.value ?? Number.NaN, directionOf(name))) best = { value, epoch }
  }
  return best ? `  ·  best ${name} ${formatMetric(best.value)} in epoch ${best.epoch}` : ''
}

const counted = (n: number, one: string, many = `${one}s`): string => `${formatCount(n)} ${n === 1 ? one : many}`
