import { useState } from 'preact/hooks'
import type { RunSummary, Tag } from '../../src/board/protocol.ts'
import { fetchTexts } from '../api.ts'
import { versionOf } from '../live.ts'
import { Markdown } from '../part/markdown.tsx'
import { RunCards } from '../part/run-cards.tsx'
import { momentIndex, StepSlider } from '../part/step-slider.tsx'
import { useFetched } from '../part/use-fetched.ts'

/** Notes by step. */
export function Texts() {
  return (
    <RunCards kinds={['text']} what="texts" height={() => 120}>
      {(tag, run) => <Text tag={tag} run={run} />}
    </RunCards>
  )
}

function Text({ tag, run }: { tag: Tag; run: RunSummary }) {
  const [chosen, setChosen] = useState<number>()
  const { value: list, error } = useFetched(
    (signal) => fetchTexts({ tag: tag.id, run: run.id }, signal),
    `${tag.id} ${run.id}`,
    versionOf([run.id]),
  )
  if (error !== undefined) return <p class="error">{error}</p>
  if (!list) return null
  const index = momentIndex(chosen, list.moments.length)
  return (
    <>
      <StepSlider moments={list.moments} index={index} onInput={setChosen} seen={list.seen} />
      <Markdown text={list.moments[index]?.text ?? ''} />
    </>
  )
}
