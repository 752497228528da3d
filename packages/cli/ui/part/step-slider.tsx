import { useState } from 'preact/hooks'
import { linkedStep, linksSteps } from '../state.ts'
import { formatTime, formatValue } from '../words.ts'
import { Slider } from './controls.tsx'

interface StepSliderProps {
  moments: readonly { step: number; time?: number }[]
  index: number
  onInput: (index: number) => void
  /** How many there were before some were thinned out. */
  seen?: number
}

/** Chooses one of the steps at which something was written. */
export function StepSlider({ moments, index, onInput, seen = 0 }: StepSliderProps) {
  const moment = moments[index]
  if (!moment || moments.length < 2) return null
  const thinned = seen > moments.length ? `, ${moments.length} of ${seen} kept` : ''
  return (
    <div class="steps" title={(moment.time === undefined ? '' : formatTime(moment.time)) + thinned}>
      <Slider label="Step" min={0} max={moments.length - 1} step={1} value={index} onInput={onInput} words={formatValue(moment.step)} />
    </div>
  )
}

/**
 * Which moment to show: the one chosen, or the latest as long as nobody chose; of all cards together, the last one that is not past the
 * step that was chosen.
 */
export function useMoment(moments: readonly { step: number }[] = []): readonly [index: number, choose: (index: number) => void] {
  const [own, setOwn] = useState<number>()
  const last = moments.length - 1
  if (!linksSteps.value) return [own === undefined ? last : Math.min(own, last), setOwn]
  const step = linkedStep.value
  const found =
    step === undefined
      ? last
      : Math.max(
          0,
          moments.findLastIndex((moment) => moment.step <= step),
        )
  return [found, (index) => (linkedStep.value = moments[index]!.step)]
}
