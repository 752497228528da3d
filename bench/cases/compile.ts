import type { Case } from '../case.ts'
import { train } from './train.ts'

/** The training steps as compiled programs; against the same ones eagerly, too. */
export const compile: Case[] = train.map((testCase) => ({ ...testCase, suite: 'compile' }))
