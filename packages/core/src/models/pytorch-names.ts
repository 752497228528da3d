/** What a module says of PyTorch's checkpoints of it, where that does not follow from its fields; see `loadPyTorchState`. */
export interface PyTorchNames {
  /** Names that fields have there, where it is not theirs in snake_case. */
  readonly pytorchNames?: Readonly<Record<string, string>>
  /** What names begin with in checkpoints of models around this one. */
  readonly pytorchPrefix?: string
  /** Names of entries, from this module on, that follow from others, so that there is nothing to load. */
  readonly pytorchExtras?: RegExp
}
