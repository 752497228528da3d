import type { Shape } from '../layout.ts'
import type { BinaryMethods } from './binary.ts'
import type { CreationMethods } from './creation.ts'
import type { MovementMethods } from './movement.ts'
import type { ReduceMethods } from './reduce.ts'
import type { UnaryMethods } from './unary.ts'

/** All methods of a tensor of shape `S`: each op family declares its own. */
export interface Methods<S extends Shape> extends UnaryMethods<S>, BinaryMethods<S>, ReduceMethods<S>, MovementMethods<S>, CreationMethods {}
