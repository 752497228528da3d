import { ArgumentWords } from '../routine-entry.ts'

/**
 * Words of the arguments of the modules `windows` and `depthwise`; phases and taps follow. `epilogue`: where its block is, in bytes from the
 * first word. `bytes`: channels of a group of bytes; `channels` counts pairs of them then.
 */
export const windowWords = /* @__PURE__ */ new ArgumentWords([
  'source',
  'weights',
  'output',
  'sourceN',
  'sourceD',
  'sourceH',
  'sourceW',
  'depth',
  'height',
  'width',
  'channels',
  'weightChannel',
  'weightColumn',
  'columns',
  'groups',
  'sourceGroup',
  'weightGroup',
  'outputGroup',
  'kBlock',
  'rowChunk',
  'rowBlock',
  'rowBlocks',
  'columnBlock',
  'columnBlocks',
  'packedB',
  'packedA',
  'zeros',
  'stepD',
  'stepH',
  'stepW',
  'accumulate',
  'phases',
  'bias',
  'biasColumn',
  'epilogue',
  'bytes',
])

/**
 * Words of a phase. Rows run over [batch, D, H, W]; `start` is the source position of row 0, `output` strides are of rows. `line`: rows whose
 * outputs are `outputW` apart, all of them where the output is dense. `low` and `high`: the least and the largest position of a tap.
 */
export const phaseWords = /* @__PURE__ */ new ArgumentWords([
  'rows',
  'rowsD',
  'rowsH',
  'rowsW',
  'startD',
  'startH',
  'startW',
  'outputOffset',
  'outputN',
  'outputD',
  'outputH',
  'outputW',
  'line',
  'taps',
  'tapCount',
  'lowD',
  'highD',
  'lowH',
  'highH',
  'lowW',
  'highW',
])

/** Words of a tap: its source position relative to the row's, the same in bytes, and the offset of its weights. */
export const tapWords = /* @__PURE__ */ new ArgumentWords(['d', 'h', 'w', 'delta', 'weights'])
