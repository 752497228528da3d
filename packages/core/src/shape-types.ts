/** Shapes as types. `shape-types/shape.ts` says how rules and their errors work; the other files hold the rules. */
export type { Add, Product } from './shape-types/arithmetic.ts'
export type { Broadcast, Compared, Expand, MatMul, Reduce, Reduced, Rows } from './shape-types/algebra.ts'
export type { Einsum } from './shape-types/einsum.ts'
export type {
  Apply,
  Chain,
  CheckedChain,
  ConvOut,
  ConvWith,
  EmbeddingOut,
  InputOf,
  LinearOut,
  LinearWith,
  PoolOut,
  ShapeRule,
  SizesOf,
} from './shape-types/layers.ts'
export type {
  Concat,
  DataShape,
  Flatten,
  Gather,
  Index,
  Narrow,
  OneHot,
  Permute,
  Reshape,
  Select,
  ShapesOf,
  Slice,
  Squeeze,
  Stack,
  Take,
  Transpose,
  Unsqueeze,
} from './shape-types/movement.ts'
export type { Checked, Mutable, Result, Shape, Show } from './shape-types/shape.ts'
