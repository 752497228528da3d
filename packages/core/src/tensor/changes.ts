/**
 * Goes up when the `.grad` or `requiresGrad` of any tensor is set, and when memory is released by hand. What holds of tensors from
 * outside holds as long as it stays, so that a compiled step need not look at each of its parameters on each run.
 */
export const changes = { count: 0 }
