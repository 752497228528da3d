import type { Shape } from '../layout.ts'
import type { ActivationMethods } from './activations.ts'
import type { SpecialMethods } from './special.ts'
import type { SliceMethods } from './slice.ts'
import type { JoinMethods } from './join.ts'
import type { CopyMethods } from './copy.ts'
import type { BinaryMethods } from './binary.ts'
import type { ConvMethods } from './conv.ts'
import type { InterpolateMethods } from './interpolate.ts'
import type { MatmulMethods } from './matmul.ts'
import type { PoolMethods } from './pool.ts'
import type { RandomMethods } from './random.ts'
import type { CreationMethods } from './creation.ts'
import type { MovementMethods } from './movement.ts'
import type { ReduceMethods } from './reduce.ts'
import type { UnaryMethods } from './unary.ts'

/** All methods of a tensor of shape `S`: each op family declares its own. */
export interface Methods<S extends Shape> extends UnaryMethods<S>, SpecialMethods<S>, ActivationMethods<S>, BinaryMethods<S>, ReduceMethods<S>, MovementMethods<S>, SliceMethods<S>, JoinMethods<S>, CopyMethods<S>, ConvMethods, InterpolateMethods, MatmulMethods<S>, PoolMethods, RandomMethods<S>, CreationMethods {}
