import type { Case } from '../case.ts'
import { compile } from './compile.ts'
import { data } from './data.ts'
import { dispatch } from './dispatch.ts'
import { infer } from './infer.ts'
import { ops } from './ops.ts'
import { train } from './train.ts'

/** The suites that are timed in turns; `memory`, `fit` and `startup` work on fresh processes instead. */
export const suites = { ops, train, infer, dispatch, compile, data } as const satisfies Record<string, Case[]>
