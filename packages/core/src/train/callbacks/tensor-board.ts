import type { Tensor } from '../../tensor/tensor.ts'
import type { Callback } from '../callback.ts'
import type { Logs } from '../metric-set.ts'
import type { HyperParameters, SummaryWriter } from '../summary.ts'
import type { Training } from '../training.ts'
import { isValidationName } from './monitor.ts'

/** What is written to event files, and how often. */
export interface TensorBoardOptions {
  /** Steps of the optimiser between two losses that are written, each of which waits for the engine. Default 50; 0: only epochs are. */
  readonly everySteps?: number
  /** Epochs between two distributions of each parameter. Default 1; 0: none. */
  readonly weightHistograms?: number
  /** Epochs between two distributions of each gradient. Default 0: none. */
  readonly gradientHistograms?: number
  /** Whether the ops of the compiled step are written, once. Default true. */
  readonly graph?: boolean
  /** Settings of the run, for comparing runs. */
  readonly hparams?: HyperParameters
  /** Texts to go with the run, by tag. The model itself is written as `model`. */
  readonly texts?: Readonly<Record<string, string>>
  /** Whether the writer is closed at the end of `fit` (default), or is used further. */
  readonly close?: boolean
}

/**
 * Writes a training for TensorBoard, or `cotangent board`: scalars `train/loss` and `val/loss` and so on, distributions of weights and
 * gradients, the model, the ops of a step and the run's settings.
 *
 *     import { EventFileWriter } from '@cotangent/formats/tensorboard'
 *     new train.TensorBoard(new EventFileWriter('runs/1'), { hparams: { lr: 1e-3 } })
 */
export class TensorBoard implements Callback {
  readonly keeps = true
  readonly #writer: SummaryWriter
  readonly #options: TensorBoardOptions
  #hasGraph = false

  constructor(writer: SummaryWriter, options: TensorBoardOptions = {}) {
    this.#writer = writer
    this.#options = options
  }

  onFitStart({ model, step, plan }: Training): void {
    const { hparams, texts = {} } = this.#options
    if (hparams) this.#writer.hparams(hparams, { [plan.validates ? 'val/loss' : 'train/loss']: null })
    this.#writer.text('model', `\`\`\`\n${model.toString()}\n\`\`\``, step)
    for (const [tag, text] of Object.entries(texts)) this.#writer.text(tag, text, step)
  }

  async onStepEnd(training: Training): Promise<void> {
    const { everySteps = 50 } = this.#options
    if (everySteps === 0 || training.step % everySteps !== 0) return
    this.#writer.scalar('batch/loss', await training.loss(), training.step)
    this.#writer.scalar('batch/lr', training.optimizer.lr, training.step)
  }

  onValidationEnd(training: Training, logs: Logs): void {
    this.#scalars(logs, training.step)
  }

  async onEpochEnd(training: Training, logs: Logs): Promise<void> {
    this.#graph(training)
    this.#scalars(Object.fromEntries(Object.entries(logs).filter(([name]) => !isValidationName(name))), training.step)
    this.#writer.scalar('train/epoch', training.epoch + 1, training.step)
    const { weightHistograms = 1, gradientHistograms = 0 } = this.#options
    const due = (every: number) => every > 0 && (training.epoch + 1) % every === 0
    for (const [name, parameter] of training.model.namedParameters()) {
      if (due(weightHistograms)) await this.#histogram(`weights/${name}`, parameter as unknown as Tensor, training.step)
      if (due(gradientHistograms) && parameter.grad) await this.#histogram(`gradients/${name}`, parameter.grad, training.step)
    }
    await this.#writer.flush()
  }

  async onFitEnd(): Promise<void> {
    await (this.#options.close === false ? this.#writer.flush() : this.#writer.close())
  }

  async onError(): Promise<void> {
    const { close } = this.#options
    // The training's own error is the one to hear of.
    await (close === false ? this.#writer.flush() : this.#writer.close({ status: 'failure' })).catch(() => {})
  }

  #graph({ trainStep, model }: Training): void {
    if (this.#hasGraph || this.#options.graph === false || trainStep.specializations.length === 0) return
    this.#hasGraph = true
    const names = new Map<string, unknown>([...model.namedParameters(), ...model.namedBuffers()]) as ReadonlyMap<string, Tensor>
    this.#writer.graph?.(trainStep, { names })
  }

  #scalars(logs: Logs, step: number): void {
    for (const [name, value] of Object.entries(logs)) this.#writer.scalar(tagOf(name), value, step)
  }

  async #histogram(tag: string, x: Tensor, step: number): Promise<void> {
    this.#writer.histogram(tag, (await x.detach().data()) as ArrayLike<number>, step)
  }
}

/** `valTopAccuracy` -> `val/topAccuracy`, `loss` -> `train/loss`, so that what belongs together is shown together. */
const tagOf = (name: string): string => (isValidationName(name) ? `val/${name.charAt(3).toLowerCase()}${name.slice(4)}` : `train/${name}`)
