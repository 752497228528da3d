import type { RunSummary, Tag } from '../../src/board/protocol.ts'
import { fetchTexts } from '../api.ts'
import { versionOf } from '../live.ts'
import { Toggle } from '../part/controls.tsx'
import { Markdown } from '../part/markdown.tsx'
import { RunCards } from '../part/run-cards.tsx'
import { StepSlider, useMoment } from '../part/step-slider.tsx'
import { useFetched } from '../part/use-fetched.ts'
import { linksSteps } from '../state.ts'

/** Notes by step. */
export function Texts() {
  return (
    <RunCards kinds={['text']} what="texts" height={() => 120} controls={<Toggle state={linksSteps}>Same step in all</Toggle>}>
      {(tag, run) => <Text tag={tag} run={run} />}
    </RunCards>
  )
}

function Text({ tag, run }: { tag: Tag; run: RunSummary }) {
  const { value: list, error } = useFetched(
    (signal) => fetchTexts({ tag: tag.id, run: run.id }, signal),
    `${tag.id} ${run.id}`,
    versionOf([run.id]),
  )
  const [index, choose] = useMoment(list?.moments)
  if (error !== undefined) return <p class="error">{error}</p>
  if (!list) return null
  return (
    <>
      <StepSlider moments={list.moments} index={index} onInput={choose} seen={list.seen} />
      <Markdown text={list.moments[index]?.text ?? ''} />
    </>
  )
}
