/** Keras' face of `train`, for those who come from there: the same loop, optimisers, losses and metrics under Keras' names. */
export { input, join, type LayerLike, Node, type NodeTree } from './functional.ts'
export {
  type KerasHistory,
  Model,
  type ModelCompileOptions,
  type ModelEvaluateOptions,
  type ModelFitOptions,
  type ModelPredictOptions,
  sequential,
} from './model.ts'
