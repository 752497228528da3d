import type { Case } from '../case.ts'
import { compile } from './compile.ts'
import { dispatch } from './dispatch.ts'
import { ops } from './ops.ts'
import { train } from './train.ts'

/** The suites that are timed in turns; `startup` works on fresh processes instead (see startup.ts). */
export const suites = { ops, train, dispatch, compile } as const satisfies Record<string, Case[]>
