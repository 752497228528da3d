import type { Shape } from '../layout.ts'
import type { AtMethods } from './at.ts'
import type { BinaryMethods } from './binary.ts'
import type { ComparisonMethods } from './comparison.ts'
import type { CopyMethods } from './copy.ts'
import type { CreationMethods } from './creation.ts'
import type { CumulativeMethods } from './cumulative.ts'
import type { DiagonalMethods } from './diagonal.ts'
import type { GatherMethods } from './gather.ts'
import type { JoinMethods } from './join.ts'
import type { MaskMethods } from './mask.ts'
import type { MatmulMethods } from './matmul.ts'
import type { MovementMethods } from './movement.ts'
import type { RangeMethods } from './range.ts'
import type { ReduceMethods } from './reduce.ts'
import type { ScatterMethods } from './scatter.ts'
import type { SliceMethods } from './slice.ts'
import type { SoftmaxMethods } from './softmax.ts'
import type { SortMethods } from './sort.ts'
import type { UnaryMethods } from './unary.ts'
import type { VarianceMethods } from './variance.ts'
import type { WhereMethods } from './where.ts'

/** All methods of a tensor of shape `S`: each op family declares its own. */
export interface Methods<S extends Shape>
  extends
    AtMethods<S>,
    BinaryMethods<S>,
    ComparisonMethods,
    CopyMethods<S>,
    CreationMethods<S>,
    CumulativeMethods<S>,
    DiagonalMethods<S>,
    GatherMethods<S>,
    JoinMethods<S>,
    MaskMethods<S>,
    MatmulMethods<S>,
    MovementMethods<S>,
    RangeMethods<S>,
    ReduceMethods<S>,
    ScatterMethods<S>,
    SliceMethods<S>,
    SoftmaxMethods<S>,
    SortMethods<S>,
    UnaryMethods<S>,
    VarianceMethods<S>,
    WhereMethods<S> {}
