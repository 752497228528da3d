import type { RunSummary, Tag } from '../../src/board/protocol.ts'
import { address, fetchMedia } from '../api.ts'
import { versionOf } from '../live.ts'
import { nameOf } from '../marks.ts'
import { Toggle } from '../part/controls.tsx'
import { RunCards } from '../part/run-cards.tsx'
import { StepSlider, useMoment } from '../part/step-slider.tsx'
import { useFetched } from '../part/use-fetched.ts'
import { cardWidth, linksSteps, titleOf } from '../state.ts'
import { formatValue } from '../words.ts'

/** Pictures and sounds by step. */
export function MediaView() {
  return (
    <RunCards
      kinds={['image', 'audio']}
      what="images and sounds"
      controls={<Toggle state={linksSteps}>Same step in all</Toggle>}
      height={({ kind }) => (kind === 'image' ? Math.round(cardWidth.value * 0.7) : 62)}
    >
      {(tag, run, wide) => <Media tag={tag} run={run} wide={wide} />}
    </RunCards>
  )
}

function Media({ tag, run, wide }: { tag: Tag; run: RunSummary; wide: boolean }) {
  const params = { kind: tag.kind, tag: tag.id, run: run.id }
  const { value: list, error } = useFetched((signal) => fetchMedia(params, signal), `${tag.id} ${run.id}`, versionOf([run.id]))
  const [index, choose] = useMoment(list?.moments)
  if (error !== undefined) return <p class="error">{error}</p>
  if (!list) return null
  const moment = list.moments[index]
  if (!moment) return null
  // The time tells apart what was written twice for one step, for the browser's cache.
  const source = (frame: number): string => address('blob', { ...params, step: moment.step, frame, time: moment.time })
  const label = (frame: number): string =>
    `${titleOf(tag)} of ${nameOf(run)} at step ${formatValue(moment.step)}${moment.frames > 1 ? `, ${frame + 1} of ${moment.frames}` : ''}`
  return (
    <>
      <StepSlider moments={list.moments} index={index} onInput={choose} seen={list.seen} />
      <div class={wide ? 'media wide' : 'media'} data-frames={moment.frames}>
        {Array.from({ length: moment.frames }, (_, frame) =>
          tag.kind === 'image' ? (
            <img key={frame} src={source(frame)} alt={label(frame)} loading="lazy" />
          ) : (
            <audio key={frame} src={source(frame)} aria-label={label(frame)} controls preload="none" />
          ),
        )}
      </div>
    </>
  )
}
